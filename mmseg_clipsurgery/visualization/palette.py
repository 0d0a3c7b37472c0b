"""Colours: of labels (PASCAL VOC's rule, which names one for every number), and of what is for or against."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np

POSITIVE, NEGATIVE = '#0a9c3c', '#d7263d'


def voc_palette(count: int) -> list[list[int]]:
    """RGB colours of labels 0 to count - 1: bit 3i + c of the label becomes bit 7 - i of channel c (R, G, B)."""
    return [
        [sum(((label >> (3 * i + c)) & 1) << (7 - i) for i in range(8)) for c in range(3)]
        for label in range(count)
    ]


def label_colours(count: int) -> list[list[int]]:
    """RGB colours of labels 0 to count - 1: twenty that are easy to tell apart, then VOC's."""
    twenty = matplotlib.colormaps['tab20'](range(20))[:, :3]
    strong_first = np.concatenate([twenty[::2], twenty[1::2]])
    distinct = (255 * strong_first).round().astype(int).tolist()
    return [*distinct, *voc_palette(count)[len(distinct) :]][:count]


def class_colours(metainfo: Mapping[str, Any]) -> Sequence[Sequence[int]]:
    """RGB colours of a data set's classes: its own palette where that has one for each class, else VOC's.

    Args:
        metainfo: of an MMSeg data set, with `classes` and perhaps `palette`.
    """
    classes, palette = metainfo['classes'], metainfo.get('palette') or []
    return palette if len(palette) == len(classes) else voc_palette(len(classes))
