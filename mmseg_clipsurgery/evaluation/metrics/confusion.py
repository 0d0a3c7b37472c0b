"""The confusion matrix of label maps, and the figures that are made of it; torch only.

    C_ij = number of pixels of class i labelled j, over all images (int64)
    IoU_i = C_ii / (sum_j C_ij + sum_j C_ji - C_ii)    Acc_i = C_ii / sum_j C_ij    aAcc = sum_i C_ii / sum_ij C_ij

Figures are percentages, rounded as MMSeg's `IoUMetric` rounds them. A class that occurs neither in truth nor prediction
has no IoU and is left out of means.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ...inference.postprocess import bincount_without_sync


def confusion_counts(truth: Tensor, labels: Tensor, classes: int, ignore_index: int) -> Tensor:
    """Pixels of each class by predicted class: rows truth, columns prediction.

    Pixels whose truth is ignored are left out, and so are those with an index outside [0, classes): see `label_range`.

    Args:
        truth: "h w" class indices or `ignore_index`, any integer type.
        labels: "h w" class indices.
        classes: k.
        ignore_index: truth label that is left out.

    Returns:
        "k k", int64.
    """
    left_out = classes * classes
    truth, labels = truth.long(), labels.long()
    inside = (truth >= 0) & (truth < classes) & (labels >= 0) & (labels < classes) & (truth != ignore_index)
    pairs = (truth * classes + labels).where(inside, left_out)
    return bincount_without_sync(pairs, left_out + 1)[:left_out].view(classes, classes)


def label_range(truth: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """The lowest and highest label of truth and prediction where the truth is not ignored.

    Args:
        truth: "h w" class indices or `ignore_index`, any integer type.
        labels: "h w" predicted class indices.
        ignore_index: truth label that is left out.

    Returns:
        "4" int64: lowest and highest of the truth, lowest and highest of the prediction. 0 counts as a label.
    """
    kept = truth != ignore_index
    return torch.stack(
        [end for label_map in (truth, labels) for end in label_map.long().where(kept, 0).aminmax()]
    )


def areas_of(counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Areas "k" of intersection, union, prediction and truth of each class, from a confusion matrix "k k"."""
    intersection, truth, prediction = counts.diag(), counts.sum(1), counts.sum(0)
    return intersection, truth + prediction - intersection, prediction, truth


def class_ious(counts: Tensor) -> np.ndarray:
    """IoU "k" in [0, 1] of each class from a confusion matrix "k k"; NaN where a class does not occur."""
    intersection, union, *_ = areas_of(counts)
    return (intersection.double() / union.double()).numpy()


def mean_iou(counts: Tensor) -> float:
    """Mean IoU in percent over the classes that occur, from a confusion matrix "k k"."""
    return float(np.round(np.nanmean(class_ious(counts)) * 100, 2))


def group_means(
    counts: Tensor, names: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Mean IoU in percent of groups of classes.

    Args:
        counts: confusion matrix "k k".
        names: of the classes, k of them.
        groups: name -> class names.

    Returns:
        `mIoU_<name>` -> mean over the classes of the group that occur.
    """
    ious = class_ious(counts) * 100
    return {
        f'mIoU_{group}': float(np.round(np.nanmean([ious[names.index(name)] for name in members]), 2))
        for group, members in groups.items()
    }
