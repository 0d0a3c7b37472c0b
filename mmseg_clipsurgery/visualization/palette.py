"""Colours: of labels (PASCAL VOC's rule, which names one for every number), and of what is for or against."""

from collections.abc import Mapping, Sequence
from typing import Any

POSITIVE, NEGATIVE = '#0a9c3c', '#d7263d'

# Easy to tell apart, from black too, which is the background's; and none that a ground has by itself, so that no one
# takes a label for grass, sand, water, snow, gravel or wood. Those grounds are the labels 8 to 13 of the scenes, and
# have hues from purple to red. Found by spreading colours in OKLab (Ottosson 2020).
DISTINCT = (
    (230, 230, 0),
    (0, 0, 255),
    (0, 230, 80),
    (160, 0, 255),
    (40, 255, 230),
    (0, 120, 255),
    (255, 128, 0),
    (160, 120, 230),
    (120, 0, 80),
    (200, 0, 0),
    (255, 160, 255),
    (255, 0, 255),
    (200, 0, 160),
    (80, 0, 160),
    (0, 120, 120),
    (0, 40, 80),
    (120, 80, 160),
    (0, 200, 200),
    (80, 0, 0),
    (255, 120, 120),
)


def voc_palette(count: int) -> list[list[int]]:
    """RGB colours of labels 0 to count - 1: bit 3i + c of the label becomes bit 7 - i of channel c (R, G, B)."""
    return [
        [sum(((label >> (3 * i + c)) & 1) << (7 - i) for i in range(8)) for c in range(3)]
        for label in range(count)
    ]


def label_colours(count: int) -> list[list[int]]:
    """RGB colours of labels 0 to count - 1: `DISTINCT`, then VOC's."""
    return [*map(list, DISTINCT), *voc_palette(count)[len(DISTINCT) :]][:count]


def class_colours(metainfo: Mapping[str, Any]) -> Sequence[Sequence[int]]:
    """RGB colours of a data set's classes: its own palette where that has one for each class, else VOC's.

    Args:
        metainfo: of an MMSeg data set, with `classes` and perhaps `palette`.
    """
    classes, palette = metainfo['classes'], metainfo.get('palette') or []
    return palette if len(palette) == len(classes) else voc_palette(len(classes))
