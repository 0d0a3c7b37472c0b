"""mAP of class scores over images.

    AP_k = mean over the images with class k of the precision down to that image's score (equal scores count together)
    mAP  = mean over the classes that occur

As in information retrieval, without interpolation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def average_precision(scores: np.ndarray, present: np.ndarray) -> np.ndarray:
    """AP of each class.

    Args:
        scores: "n k", of each class for each image; only their order within a class counts.
        present: "n k" bool, which classes each image holds.

    Returns:
        "k" in [0, 1]; NaN for a class that no image holds.
    """
    result = np.full(scores.shape[1], np.nan)
    for k in np.flatnonzero(present.any(axis=0)):
        held = present[:, k]
        result[k] = precision_at(np.sort(scores[held, k]), np.sort(scores[~held, k])).mean()
    return result


def precision_at(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Precision "n" down to each score of those that hold a class; equal scores count together.

    Args:
        own: "n", their scores, rising.
        others: "m", the scores of those that do not, rising.
    """
    hits = len(own) - np.searchsorted(own, own, side='left')
    return hits / (hits + len(others) - np.searchsorted(others, own, side='left'))


def class_rows(classes: Sequence[str], precision: np.ndarray, present: np.ndarray) -> list[dict[str, Any]]:
    """A row for each class: `class`, `AP` in percent (None where no image holds it), `images` that hold it.

    Args:
        classes: k names.
        precision: "k" in [0, 1] or NaN.
        present: "n k" bool.
    """
    counts = present.sum(axis=0)
    return [
        {'class': name, 'AP': _percent(value), 'images': int(count)}
        for name, value, count in zip(classes, precision, counts, strict=True)
    ]


def mean_of_occurring(precision: Sequence[float]) -> float:
    """mAP in percent over the classes that occur.

    Args:
        precision: AP in [0, 1] of each class, NaN where it does not occur.

    Raises:
        ValueError: none of them occurs.
    """
    found = [value for value in precision if not np.isnan(value)]
    if not found:
        raise ValueError('no image holds any of the classes, so there is no mAP; check the labels')
    return round(float(np.mean(found)) * 100, 4)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `class_rows` as text in columns."""
    width = max(len(row['class']) for row in rows)
    lines = [
        f'{row["class"]:{width}}  {"-" if row["AP"] is None else row["AP"]:>8}  {row["images"]}'
        for row in rows
    ]
    return '\n'.join([f'{"class":{width}}  {"AP":>8}  images', *lines])


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value) * 100, 4)
