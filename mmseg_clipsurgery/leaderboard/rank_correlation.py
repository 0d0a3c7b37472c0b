"""Whether methods rank on the embedded scenes as they do in publications, on real photos: a fact, not a goal."""

from collections.abc import Iterable, Mapping
from statistics import fmean

import torch

from ..faithfulness.agreement import spearman
from .published import USUAL_BACKBONE, Row, data_sets_of_methods, published_rows

LEAST = 6  # methods: the correlation of fewer says nothing


def correlation_line(figures: Mapping[str, float]) -> str:
    """A sentence on the rank correlation with published means; '' with fewer than `LEAST` methods.

    Args:
        figures: method -> mIoU on scenes, in percent.
    """
    means = published_means(published_rows())
    both = [method for method in figures if method in means]
    if len(both) < LEAST:
        return ''
    ours, published = (torch.tensor([of[method] for method in both]).double() for of in (figures, means))
    found = spearman(ours, published)
    return (
        "Spearman's rank correlation of the first column with the methods' published means over "
        f'{len(data_sets_of_methods())} real data sets (`docs/methods.md`; {len(both)} methods, {USUAL_BACKBONE}, no '
        f'post-processing, no second model): {found:.2f}. A fact, not a goal: nothing is chosen by it.'
    )


def published_means(rows: Iterable[Row]) -> dict[str, float]:
    """Mean published mIoU of each method, in percent.

    Args:
        rows: of publications; of a method the first counts that is of the usual backbone alone and has all data sets.
    """
    means: dict[str, float] = {}
    for row in rows:
        alone = row.backbone == USUAL_BACKBONE and not row.post_processing and not row.other_models
        if alone and set(data_sets_of_methods()) <= set(row.mIoU):
            means.setdefault(row.method, fmean(row.mIoU[name] for name in data_sets_of_methods()))
    return means
