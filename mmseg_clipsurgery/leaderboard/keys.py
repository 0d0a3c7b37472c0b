"""What decides a figure: the settings of its run, and the data it was run on.

`settings` is a SHA-256 of model, words, protocol, data set but for its place, the surgery's fields, the source of own
surgeries and affinities, and the embedded weights. `data` says how many images there are, with a SHA-256 of the names
and sizes of all images and masks of the split: another place of the same files is the same data; a part of them, or
other masks, is not. Data that is not there can't be compared; of the drawn scenes it says their version.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from .. import scenes
from ..datasets.base_datasets import base_datasets, dataset_configs
from ..datasets.on_disk import build_dataset, check_folders
from ..environment.extensions import digest_of
from ..resources import RESOURCES
from ..surgery import Surgery
from ..vocabulary import Vocabulary

PARTS = ('model', 'test_pipeline', 'test_evaluator')  # of a config, that decide figures
SCENES_WEIGHTS = RESOURCES / 'scenes'
DRAWN = ('scenes', 'scenes_heldout')  # data sets
NO_WEIGHTS = ('card.json',)  # the record of its training decides no figure


@dataclass(frozen=True)
class Key:
    """What a figure depends on.

    Attributes:
        settings: a SHA-256.
        data: 'images' and 'files', their number and a SHA-256, or 'scenes', their version; None: there is nothing to
            compare.
    """

    settings: str
    data: Mapping[str, Any] | None = None

    def agrees(self, stated: Mapping[str, Any]) -> bool:
        """Whether a result that states these settings and data is of this key."""
        return stated['settings'] == self.settings and self.data in (None, stated.get('data'))

    def stated(self) -> dict[str, Any]:
        """What a result states of it."""
        return {'settings': self.settings, **({'data': dict(self.data)} if self.data else {})}


def key_of(cfg: Config) -> Key:
    """The key of a run."""
    return Key(settings_key(cfg), data_of(cfg))


def settings_key(cfg: Config) -> str:
    """SHA-256 of all settings that decide a run's figures; see the head of this file."""
    backbone = cfg.model.backbone
    surgery = Surgery.read(backbone.surgery)
    vocabulary = Vocabulary.read(cfg.model.text_encoder.vocabulary)
    stated: dict[str, Any] = {part: cfg[part] for part in PARTS}
    stated['model'] = without_words_place(cfg)
    stated['dataset'] = without_roots(cfg.test_dataloader.dataset)
    stated['words'] = None if vocabulary is None else asdict(vocabulary)
    stated['surgery'] = surgery.as_dict()
    name = backbone.surgery if isinstance(backbone.surgery, str) else backbone.surgery.get('name', '')
    sources = digest_of('surgery', name), digest_of('affinity', surgery.affinity)
    stated['sources'] = [source for source in (*sources, *explainer_sources(cfg)) if source]
    if cfg.test_dataloader.dataset.type == 'ScenesDataset':
        stated['scenes'] = scenes.VERSION
    if backbone.get('pretrained') == 'scenes':
        files = sorted(path for path in SCENES_WEIGHTS.glob('*') if path.name not in NO_WEIGHTS)
        stated['weights'] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return hashlib.sha256(json.dumps(stated, sort_keys=True, default=str).encode()).hexdigest()


def explainer_sources(cfg: Config) -> list[str | None]:
    """SHA-256 of the own files that added the run's explainer, and the surgery whose maps it gives."""
    name = (cfg.model.get('test_cfg') or {}).get('explainer')
    return (
        [] if name is None else [digest_of('explainer', name), digest_of('surgery', name.partition(':')[0])]
    )


def without_words_place(cfg: Config) -> Any:
    """The model of a config, where its words lie in the folder of the data without that folder."""
    text = cfg.model.text_encoder
    for leaf in dataset_configs(cfg.test_dataloader.dataset):
        words, root = text.get('vocabulary'), leaf.get('data_root')
        if isinstance(words, str) and root and PurePath(words).is_relative_to(root):
            name = PurePath(words).relative_to(root).as_posix()
            return {**cfg.model, 'text_encoder': {**text, 'vocabulary': name}}
    return cfg.model


def without_roots(source: Any) -> Any:
    """A data set's config without the place of its files, also where it wraps others."""
    if isinstance(source, Mapping):
        return {key: without_roots(value) for key, value in source.items() if key != 'data_root'}
    return [without_roots(inner) for inner in source] if isinstance(source, list | tuple) else source


def refuse_earlier_scenes(path: 'str | os.PathLike', stated: Mapping[str, Any]) -> None:
    """Name a result of scenes that are no longer drawn, so that its figures stand beside no others.

    Args:
        path: of the result.
        stated: what it says of its cell or run.

    Raises:
        ValueError: it is one, or what it says of its data names nothing.
    """
    if not isinstance(stated.get('data'), Mapping | None):
        raise ValueError(
            f'{path}: data must hold names and values, got {stated["data"]!r}: remove it, and it is run again'
        )
    if (version := earlier_scenes(stated)) is not None:
        raise ValueError(
            f'{path} is of scenes of version {version}, not {scenes.VERSION}: remove it, and it is run again'
        )


def earlier_scenes(stated: Mapping[str, Any]) -> int | None:
    """The version of the scenes that a result is of; None: today's, or it is of other data.

    Args:
        stated: what it says of its cell or run; version 2 did not say so.
    """
    if (stated.get('data_set') or stated.get('config')) not in DRAWN:
        return None
    version = (stated.get('data') or {'scenes': 2}).get('scenes', scenes.VERSION)
    return None if version == scenes.VERSION else version


def data_of(cfg: Config) -> dict[str, Any] | None:
    """Number of images of a run's data set, and a SHA-256 of its files' names and sizes.

    Returns:
        Of the drawn scenes their version. None: the data is not there, or can't be built (its run says why).
    """
    source = cfg.test_dataloader.dataset
    leaves = list(dataset_configs(source))
    if any(leaf.get('type') == 'ScenesDataset' and leaf.get('data_root') is None for leaf in leaves):
        return {'scenes': scenes.VERSION}
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    try:
        for leaf in leaves:
            check_folders(leaf)
        dataset = build_dataset(source)
    except Exception:  # data sets are anybody's code; the run's preflight says in a sentence what is wrong
        return None
    digest = hashlib.sha256()
    for line in file_lines(dataset):
        digest.update(line.encode())
    return {'images': len(dataset), 'files': digest.hexdigest()}


def file_lines(dataset: Any) -> Iterator[str]:
    """Name below the data root, and size, of each image and mask of a built data set; a line each."""
    for base in base_datasets(dataset):
        for index in range(len(base)):
            info = base.get_data_info(index)
            for path in (info.get('img_path'), info.get('seg_map_path')):
                if path:
                    yield file_line(path, base)
        if len(base) and not base.get_data_info(0).get('seg_map_path'):
            yield file_line(base.ann_file, base)  # which holds the truth


def file_line(path: str, base: Any) -> str:
    """Name below the data root of a data set, and size, of one file."""
    name = PurePath(os.path.relpath(path, base.data_root or os.curdir)).as_posix()
    return f'{name} {os.path.getsize(path) if os.path.isfile(path) else "not there"}\n'
