"""Labelled images of a config's data set, as its pipeline loads them: of another split, or of the evaluated one."""

import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS

from ..datasets.base_datasets import dataset_configs
from ..datasets.on_disk import check_folders
from ..inference.calibration_run import LabelledImage
from ..models import register_towers
from ..models.padding import unpadded
from ..vocabulary import Vocabulary
from . import registration  # noqa: F401
from .configs import segmentor_config
from .fitting import fits
from .keywords import check_keywords
from .preflight import check_classes, ignore_index_of


def build_split(cfg: Config, split: str) -> Any:
    """The data set of a config on another split, its truth loaded.

    Raises:
        ValueError: more than one data set, or no file of names.
        FileNotFoundError: its files are not there.
    """
    sources = list(dataset_configs(cfg.test_dataloader.dataset))
    if len(sources) != 1 or 'ann_file' not in sources[0]:
        raise ValueError(
            'calibrate reads configs of one data set with an ann_file; give a folder of photos and --masks'
        )
    source = {**sources[0], 'ann_file': split, 'test_mode': True}
    check_folders(source)
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    try:
        return DATASETS.build(source)
    except (FileNotFoundError, AssertionError) as error:  # MMSeg asserts that its file of names is there
        raise FileNotFoundError(
            f'the split file {split} of {source["type"]} does not exist ({error})'
        ) from None


def build_own_split(cfg: Config) -> Any:
    """The data set that a config is evaluated on, its truth loaded.

    Raises:
        ValueError: its classes are not the vocabulary's.
        FileNotFoundError: its files are not there.
    """
    source = cfg.test_dataloader.dataset
    for part in dataset_configs(source):
        check_folders(part)
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    dataset = DATASETS.build(source)
    check_classes(cfg, dataset)
    return dataset


def check_split(cfg: Config, split: str) -> None:
    """Refuse the split that the config is evaluated on. Raises ValueError."""
    for source in dataset_configs(cfg.test_dataloader.dataset):
        if os.path.normpath(str(source.get('ann_file'))) == os.path.normpath(split):
            raise ValueError(
                f'{split} is the split that the config is evaluated on, and settings chosen there would flatter '
                'themselves; calibrate on another one'
            )


def check_apart(split: str, check: str) -> None:
    """Refuse to check settings on the split that chose them. Raises ValueError."""
    if os.path.normpath(split) == os.path.normpath(check):
        raise ValueError(f'{check} is the split that calibrates; check on another one, or leave --check out')


def chosen(count: int, wanted: int | None, seed: int) -> list[int]:
    """Places of the images that are taken of `count`, drawn by a seed, in order; None: all."""
    if wanted is None or wanted >= count:
        return list(range(count))
    return sorted(random.Random(seed).sample(range(count), wanted))


def shuffled(count: int, seed: int) -> list[int]:
    """Places of all images in an order drawn by a seed."""
    return random.Random(seed).sample(range(count), count)


def build_segmentor(cfg: Config, device: str) -> Any:
    """The segmentor of a config on a device, without test-time augmentation."""
    register_towers()
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    check_keywords(cfg)
    with fits(cfg):
        return MODELS.build(segmentor_config(cfg)).to(device)


def labelled_images(
    cfg: Config,
    segmentor: Any,
    dataset: Any,
    places: Sequence[int],
    names: Sequence[str],
    vocabulary: Vocabulary,
) -> Iterator[LabelledImage]:
    """Images of a built split.

    Args:
        cfg: its evaluator says which label is ignored.
        segmentor: whose preprocessor normalises.
        dataset: see `build_split`.
        places: of the images.
        names: of the labels of its truth.
        vocabulary: what the truth is to be written in, see `relabelling`.

    Raises:
        ValueError: an image's truth is not at its original size.
    """
    ignored = ignore_index_of(cfg)
    table = relabelling(names, vocabulary, ignored)
    for place in places:
        item = dataset[place]
        batch = {'inputs': [item['inputs']], 'data_samples': [item['data_samples']]}
        data = segmentor.data_preprocessor(batch, False)
        (sample,) = data['data_samples']
        (image,) = unpadded(data['inputs'], [sample.metainfo])
        truth, size = sample.gt_sem_seg.data[0].cpu(), tuple(sample.ori_shape[:2])
        if tuple(truth.shape) != size:
            raise ValueError(
                f'the truth of {sample.img_path} has {tuple(truth.shape)} pixels and the image {size}; load '
                'annotations after the resize'
            )
        yield LabelledImage(
            image, size, torch.from_numpy(table[truth.long().numpy().clip(0, len(table) - 1)])
        )


def relabelling(names: Sequence[str], vocabulary: Vocabulary, ignored: int) -> np.ndarray:
    """Label of a data set -> label of the vocabulary, by name, "n" int64, n at least ignored + 1.

    Classes that are none of the vocabulary's are its background where it has one, else they are ignored.
    """
    table = np.full(max(ignored + 1, len(names) + 1), ignored, np.int64)
    other = 0 if vocabulary.has_background else ignored
    for label, name in enumerate(names):
        table[label] = vocabulary.classes.index(name) if name in vocabulary.classes else other
    return table
