"""Masks as polygons whose corners are centres of border pixels, OpenCV's contours.

A hole is joined to what lies left of it by a cut of no width, so that every polygon is one closed line and says by
itself what it covers. A cut follows the row of the hole's leftmost border pixel, through the mask alone: it ends at the
first border, that of the part or of a hole further left.
"""

import numpy as np

from ..opencv import contours, simplified

TOLERANCE = 0.5  # pixels that a polygon may run beside its mask's border


def polygons(mask: np.ndarray, tolerance: float = TOLERANCE) -> list[np.ndarray]:
    """Polygons of a mask, one for each of its 8-connected parts.

    Args:
        mask: "H W" bool.
        tolerance: by which corners may be left out, in pixels.

    Returns:
        Each "p 2" int64, at least 3 corners (x, y) in pixels; a part of one or two pixels repeats its last one.
    """
    lines = [joined(mask, outer, holes) for outer, holes in contours(mask)]
    return [with_three_corners(simplified(line, tolerance)) for line in lines]


def joined(mask: np.ndarray, outer: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """One closed line "p 2" of a part's border "p 2" and the borders of its holes, each "p 2"."""
    line = outer
    for hole in sorted(holes, key=lambda points: int(points[:, 0].min())):
        start = int(hole[:, 0].argmin())
        x, y = hole[start]
        outside = np.flatnonzero(~mask[y, :x])
        end = outside[-1] + 1 if outside.size else 0
        at = int(np.flatnonzero((line == (end, y)).all(axis=1))[0])
        tour = np.concatenate([hole[start:], hole[: start + 1]])  # around the hole, back to where it began
        line = np.concatenate([line[: at + 1], tour, line[at:]])
    return line


def with_three_corners(line: np.ndarray) -> np.ndarray:
    """The line, its last point repeated where it has fewer than the three corners that readers ask for."""
    return np.concatenate([line, np.repeat(line[-1:], max(0, 3 - len(line)), axis=0)])
