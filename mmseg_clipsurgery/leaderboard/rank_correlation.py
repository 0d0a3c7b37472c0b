"""Whether methods rank on the embedded scenes as they do in publications, on real photos: a fact, not a goal."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .published import USUAL_BACKBONE, Row, published_data_sets, published_rows

LARGE_VOCABULARIES = ('ade20k_847', 'context459')  # which few publications have


def correlation_line(figures: Mapping[str, float]) -> str:
    """A sentence on the rank correlation with published means; '' with fewer than three methods.

    Args:
        figures: method -> mIoU on scenes.
    """
    published = published_means(published_rows())
    both = [method for method in figures if method in published]
    if len(both) < 3:
        return ''
    value = rank_correlation(*([of[method] for method in both] for of in (figures, published)))
    return (
        f"Spearman's rank correlation of the first column with published means over {len(data_sets())} real data sets "
        f'({len(both)} methods, ViT-B/16, nothing added): {value:.2f}. A fact, not a goal: nothing is chosen by it.'
    )


def data_sets() -> list[str]:
    """The data sets of the public leaderboard that the means are over."""
    return [name for name in published_data_sets() if name not in LARGE_VOCABULARIES]


def published_means(rows: Iterable[Row]) -> dict[str, float]:
    """Method -> mean of its published mIoU, of the first source that has all data sets on the usual backbone alone."""
    means: dict[str, float] = {}
    for row in rows:
        plain = row.backbone == USUAL_BACKBONE and not row.post_processing and not row.other_models
        if plain and set(data_sets()) <= set(row.mIoU):
            means.setdefault(row.method, float(np.mean([row.mIoU[name] for name in data_sets()])))
    return means


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's: the correlation of ranks, of which equal values share the mean; nan where all of one are equal."""
    with np.errstate(invalid='ignore', divide='ignore'):
        return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def ranks(values: Sequence[float]) -> np.ndarray:
    """Rank of each value from 0, "n"."""
    array = np.asarray(values)
    return (array[:, None] > array).sum(1) + ((array[:, None] == array).sum(1) - 1) / 2
