"""The pointing game: does the highest pixel of a map lie on its class?

    plain       share of the highest pixels (one, or several equal ones) that lie on the class; a flat map gets the
                class's share of the image
    tolerant    share of them with a pixel of the class less than so many pixels away, strictly:
                dx^2 + dy^2 < tolerance^2; a tolerance of 1 is the plain game

Source: Zhang et al., excitation backprop (2016), whose tolerance is 15 pixels of the original photo; they count a hit
or a miss by the first of equal pixels.
"""

import numpy as np

TOLERANCE = 15  # pixels of the original photo


def pointing(
    values: np.ndarray, inside: np.ndarray, kept: np.ndarray, tolerance: int = TOLERANCE
) -> np.ndarray:
    """The plain and the tolerant game of one map.

    Args:
        values: "H W".
        inside: "H W" bool, which pixels are of the class; at least one.
        kept: "H W" bool, which pixels count.
        tolerance: in pixels, 1 or more.

    Returns:
        "2" in [0, 1]: plain, tolerant.
    """
    rows, columns = np.nonzero((values == values[kept].max()) & kept)
    plain = inside[rows, columns]
    if plain.all():
        return np.ones(2)
    return np.array([plain.mean(), is_near(inside, rows, columns, tolerance).mean()])


def is_near(inside: np.ndarray, rows: np.ndarray, columns: np.ndarray, tolerance: int) -> np.ndarray:
    """Whether points have a pixel of the class less than `tolerance` away.

    Args:
        inside: "H W" bool.
        rows, columns: "m" each, of the points.
        tolerance: in pixels.

    Returns:
        "m" bool.
    """
    top, left = max(rows.min() - tolerance, 0), max(columns.min() - tolerance, 0)
    inside = inside[top : rows.max() + tolerance, left : columns.max() + tolerance]  # all that can be near
    rows, columns = rows - top, columns - left
    height, across = len(inside), row_distances(inside)
    found = np.zeros(len(rows), dtype=bool)
    for step in range(1 - tolerance, tolerance):
        row = rows + step
        there = (row >= 0) & (row < height)
        distance = across[row.clip(0, height - 1), columns]
        found |= there & (distance**2 + step**2 < tolerance**2)
    return found


def row_distances(inside: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one of the class in its row, "H W" int64; where there is none, far."""
    width = inside.shape[1]
    places, far = np.arange(width), 2**30
    left = np.maximum.accumulate(np.where(inside, places, -far), axis=1)
    right = np.minimum.accumulate(np.where(inside, places, far)[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(places - left, right - places)
