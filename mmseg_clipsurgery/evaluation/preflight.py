"""Mistakes found before CLIP is loaded: settings of the model, data set and evaluator, and the files of a test run.

`check` raises ValueError or FileNotFoundError with one sentence that says what was got and what to do.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..clip.archs import named_arch, read_arch
from ..clip.families import tower_class
from ..datasets.base_datasets import base_datasets, dataset_configs
from ..datasets.mask_check import check_files, check_listed_once
from ..datasets.mask_labels import Labels
from ..datasets.on_disk import all_pairs, build_dataset, check_folders, count_notes
from ..inference.settings import InferenceSettings, check_thresholds
from ..models.variants import parts
from ..similarity import check_similarity
from ..surgery import Surgery
from ..vocabulary import Vocabulary, read_templates
from .configs import segmentor_config
from .results import steps_of


def check(
    cfg: Config, rank: int = 0, world: int = 1, report: Callable[[str], None] = lambda line: None
) -> Labels:
    """Raise at the first kind of mistake in a test config or its data.

    Args:
        cfg: the whole config, with `test_dataloader`, `test_evaluator` and `model`.
        rank, world: this process checks files rank, rank + world, ... of the list.
        report: called with lines that say how far it is.

    Returns:
        The labels of the masks that this process has seen, for `mask_labels.judge`.

    Raises:
        ValueError: settings or files that do not fit together.
        FileNotFoundError: a data root, folder, split, image or mask is missing.
    """
    start = time.perf_counter()
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    check_model(segmentor_config(cfg))
    source = cfg.test_dataloader.dataset
    for one in dataset_configs(source):
        check_folders(one)
    dataset = build_dataset(source)
    needs_masks = any(not one.get('format_only', False) for one in evaluators(cfg))
    check_classes(cfg, dataset)
    files = all_pairs(dataset, source, ignore_index_of(cfg), needs_masks)
    check_listed_once(files)
    if not files:
        raise ValueError(f'the split {source.get("ann_file")} of {source.get("data_root")} lists no image')
    seen = check_files(files[rank::world], report)
    for note in count_notes(files):
        report(f'preflight: {note}')
    report(f'preflight: {len(files)} images checked in {time.perf_counter() - start:.1f} s')
    return seen


def check_model(model: Mapping[str, Any]) -> None:
    """Settings of a `CLIPSurgerySegmentor` that can be judged without weights; another model is left alone."""
    if 'text_encoder' not in model:
        return
    text, backbone = model['text_encoder'], model.get('backbone', {})
    vocabulary = Vocabulary.read(text.get('vocabulary'))
    if vocabulary is None:
        raise ValueError('the config has no words: set model.text_encoder.vocabulary')
    read_templates(text.get('templates', '{}'))
    if 'surgery' in backbone:
        Surgery.read(backbone['surgery'])
    test_cfg, patch = model.get('test_cfg') or {}, patch_size(backbone.get('arch'))
    check_thresholds(InferenceSettings.read(test_cfg, patch), vocabulary)
    for name, variant in (model.get('variants') or {}).items():
        surgery, own, similarity = parts(name, variant)
        Surgery.read(surgery)
        check_similarity(similarity or 'cosine')
        check_thresholds(InferenceSettings.read({**test_cfg, **own}, patch), vocabulary)


def patch_size(arch: Any) -> int:
    """Pixels of a patch's side, or of a ResNet's stride; 1 where a hub would have to be asked."""
    if arch is None or str(named_arch(arch)).startswith('hf-hub:'):
        return 1
    return tower_class(arch).patch_of(read_arch(arch)[0]['vision_cfg'])


def evaluators(cfg: Config) -> list[Any]:
    """The configs of the test evaluators, one or several."""
    given = cfg.get('test_evaluator') or []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def ignore_index_of(cfg: Config) -> int:
    """The label that the evaluators leave out: 255 unless they say otherwise."""
    return next((one['ignore_index'] for one in evaluators(cfg) if 'ignore_index' in one), 255)


def check_classes(cfg: Config, dataset: Any) -> None:
    """Class count and order of vocabulary and data set, depth of the mask loader, ignored label."""
    classes = tuple(dataset.metainfo['classes'])
    kind = type(dataset).__name__
    model = segmentor_config(cfg) or {}
    if 'text_encoder' in model:
        vocabulary = Vocabulary.read(model['text_encoder'].get('vocabulary'))
        assert vocabulary is not None
        count = class_count(vocabulary)
        if count != len(classes):
            raise ValueError(
                f'the vocabulary {_short(model["text_encoder"]["vocabulary"])} has {count} classes and {kind} has '
                f'{len(classes)}: set model.text_encoder.vocabulary to one for {kind}'
            )
        if set(vocabulary.classes) == set(classes) and vocabulary.classes != classes:
            raise ValueError(
                f'the vocabulary has the classes of {kind} in another order: put them in its order'
            )
    ignored = ignore_index_of(cfg)
    for leaf in base_datasets(dataset):
        loaders = {step['type'] for step in steps_of(cfg.test_dataloader.dataset.get('pipeline', []))}
        if 'LoadAnnotations' in loaders and len(classes) + int(leaf.reduce_zero_label) > 255:
            raise ValueError(
                f"{kind} has {len(classes)} classes and MMSeg's LoadAnnotations keeps 8 bits: "
                'load its masks with a transform that keeps 16'
            )
        if leaf.ignore_index not in (ignored, 255):
            raise ValueError(
                f'{kind} ignores label {leaf.ignore_index} and the evaluator {ignored}: set ignore_index alike'
            )


def class_count(vocabulary: Vocabulary) -> int:
    """How many labels a vocabulary gives: one word alone gives two, 'background' and the word."""
    return 2 if vocabulary.num_classes == 1 else vocabulary.num_classes


def _short(vocabulary: Any) -> str:
    return repr(vocabulary) if isinstance(vocabulary, str) else 'of the config'
