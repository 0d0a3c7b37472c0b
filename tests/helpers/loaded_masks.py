"""Masks of a data set as MMSeg's pipeline loads them."""

from pathlib import Path
from typing import Any

import numpy as np
from mmseg.registry import DATASETS
from PIL import Image

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]


def write(root: Path, image: str, mask: str, row: list[int]) -> None:
    """An image, and a mask of two rows like this one (MMSeg's loader squeezes a mask of a single row)."""
    labels = np.array([row, row], np.uint8)
    for name, pixels in ((image, np.zeros((*labels.shape, 3), np.uint8)), (mask, labels)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name)


def truths(data_set: Any) -> list[list[int]]:
    """The first row of each image's truth."""
    return [item['data_samples'].gt_sem_seg.data[0, 0].tolist() for item in data_set]


def build(kind: str, **settings: Any) -> Any:
    """A data set with MMSeg's loaders."""
    return DATASETS.build(dict(type=kind, pipeline=LOAD, test_mode=True, _scope_='mmseg', **settings))
