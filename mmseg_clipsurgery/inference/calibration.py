"""Thresholds from a few labelled images: every candidate is counted on every image, the rest is sums.

    images -> logits -> of each candidate setting: intersection, prediction and truth of each class   "s k 3" an image
    mIoU of a setting over images = mean over classes of  I_k / (P_k + T_k - I_k),  I, P, T summed over the images

    gain of a fold = mIoU on its images of the setting that is best on all other images - mIoU there of the default

The setting that is kept is the best on all images, if the mean gain over the folds is above zero; else the default
stays: what does not help on images that had no say is an accident of those that had. Candidates do not depend on the
images. Labels are those of `postprocess.PostProcess`: its rules are applied to class scores here, and all probability
thresholds are counted at once, from a histogram of the best scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import mean, stdev

import torch
from torch import Tensor

from ..similarity import class_maximum
from .postprocess import bincount_without_sync, small_classes

FOLDS = 5  # or one for each image, where there are fewer
LOGIT_SCALES = (10.0, 20.0, 40.0, 70.0, 100.0)
AREA_THDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # 0 drops nothing
PROB_THDS = tuple(step / 20 for step in range(20))  # 0 drops nothing
THRESHOLDS = tuple(step / 1000 for step in range(-200, 401, 2))  # of one word's similarity
DEFAULTS = {'logit_scale': 40.0, 'area_thd': 0.0, 'prob_thd': 0.0}
CANDIDATES = [
    dict(zip(DEFAULTS, values, strict=True)) for values in product(LOGIT_SCALES, AREA_THDS, PROB_THDS)
]


@dataclass(frozen=True)
class Gain:
    """What calibration gained on images that had no say in it.

    Attributes:
        best: place of the setting that is kept.
        default, calibrated: mIoU on held-out images in percent, mean over the folds.
        gain, spread: mean and standard deviation over the folds of their difference.
        folds: their number.
    """

    best: int
    default: float
    calibrated: float
    gain: float
    spread: float
    folds: int

    def stated(self) -> dict[str, float]:
        """The figures, rounded."""
        names = ('default', 'calibrated', 'gain', 'spread')
        return {**{name: round(getattr(self, name), 2) for name in names}, 'folds': self.folds}


def background_counts(logits: Tensor, truth: Tensor, class_of: Tensor, ignored: int) -> Tensor:
    """Areas of every setting of `CANDIDATES` on one image.

    Args:
        logits: "H W q", cosines.
        truth: "H W" labels, or `ignored`.
        class_of: "q", class 0 the background.
        ignored: label of pixels that don't count.

    Returns:
        "s k 3" int64: intersection, prediction, truth.
    """
    classes = int(class_of.max()) + 1
    counted = []
    for scale in LOGIT_SCALES:
        scores = class_maximum((logits * scale).softmax(dim=-1), class_of, classes)
        best, labels = scores.max(dim=-1)
        for share in AREA_THDS:
            dropped = small_classes(labels, share, classes)
            kept, kept_labels = (scores * ~dropped).max(dim=-1) if dropped.any() else (best, labels)
            counted.append(areas_over_thresholds(kept, kept_labels, truth, classes, ignored))
    return torch.cat(counted)


def areas_over_thresholds(best: Tensor, labels: Tensor, truth: Tensor, classes: int, ignored: int) -> Tensor:
    """Areas for every one of `PROB_THDS`: pixels whose best score is below it are labelled 0.

    Args:
        best: "H W", the score of each pixel's label.
        labels, truth: "H W"; pixels whose truth is `ignored` don't count.
        classes: k.
        ignored: a label.

    Returns:
        "t k 3" int64.
    """
    counts = truth != ignored
    best, labels, truth = best[counts], labels[counts], truth[counts].long()
    thresholds = torch.tensor(PROB_THDS, dtype=best.dtype, device=best.device)
    steps = len(PROB_THDS) + 1
    kept_below = torch.bucketize(best, thresholds, right=True)  # kept under thresholds before this one

    def histogram(which: Tensor, label: Tensor) -> Tensor:
        return bincount_without_sync((kept_below * classes + label)[which], steps * classes).view(
            steps, classes
        )

    every = torch.ones_like(labels, dtype=torch.bool)
    areas = []
    for of_label, where in (
        (histogram(labels == truth, labels), truth == 0),
        (histogram(every, labels), every),
    ):
        kept = of_label.flip(0).cumsum(0).flip(0)[1:]  # rows t: thresholds that keep the pixel are above t
        lost = bincount_without_sync(kept_below[where], steps).cumsum(0)[:-1]
        kept[:, 0] += lost
        areas.append(kept)
    areas.append(bincount_without_sync(truth, classes).expand(len(PROB_THDS), -1))
    return torch.stack(areas, dim=-1)


def one_word_counts(similarity: Tensor, truth: Tensor, class_of: Tensor, first: int, ignored: int) -> Tensor:
    """Areas of each word alone for every one of `THRESHOLDS`, on one image.

    Args:
        similarity: "H W q", each query's single-text similarity.
        truth: "H W" labels of the whole vocabulary, or `ignored`.
        class_of: "q", classes of the words that are asked for, from 0.
        first: label of the first of them.
        ignored: label of pixels that don't count.

    Returns:
        "t k 3" int64.
    """
    classes, counts = int(class_of.max()) + 1, truth != ignored
    best = class_maximum(similarity, class_of, classes)[counts]
    thresholds = torch.tensor(THRESHOLDS, dtype=best.dtype, device=best.device)
    above = torch.bucketize(best, thresholds)  # a pixel exceeds the thresholds before this one
    steps, areas = len(THRESHOLDS) + 1, []
    is_there = truth[counts, None] == torch.arange(first, first + classes, device=truth.device)
    for which in (is_there, torch.ones_like(is_there)):
        per_class = torch.stack(
            [bincount_without_sync(above[which[:, k], k], steps) for k in range(classes)], dim=1
        )
        areas.append(per_class.flip(0).cumsum(0).flip(0)[1:])
    areas.append(is_there.sum(0).expand(len(THRESHOLDS), -1))
    return torch.stack(areas, dim=-1)


def mean_ious(counts: Tensor) -> Tensor:
    """mIoU in percent of every setting, "s" float64, from areas "s k 3"; classes that don't occur are left out."""
    intersection, prediction, truth = counts.double().unbind(-1)
    return 100 * (intersection / (prediction + truth - intersection)).nanmean(dim=-1)


def best_setting(counts: Tensor, default: int) -> int:
    """Place of the best setting in areas "s k 3": the default where none is better, else the first of the best."""
    figures = mean_ious(counts)
    return default if figures[default] >= figures.max() else int(figures.argmax())


def cross_validate(counts: Tensor, default: int, folds: int = FOLDS) -> Gain:
    """Choose a setting, and measure on held-out images what choosing gains.

    Args:
        counts: areas of each image and setting, "i s k 3".
        default: place of the default among the settings.
        folds: at most so many; every image is held out once.

    Raises:
        ValueError: fewer than two images.
    """
    if len(counts) < 2:
        raise ValueError(f'got {len(counts)} labelled images; give two or more, so that one can be held out')
    number = min(folds, len(counts))
    total, figures = counts.sum(0), []
    for fold in range(number):
        held_out = counts[fold::number].sum(0)
        found = mean_ious(held_out)
        figures.append((float(found[default]), float(found[best_setting(total - held_out, default)])))
    gains = [calibrated - plain for plain, calibrated in figures]
    best = best_setting(total, default) if mean(gains) > 0 else default
    default_figure, calibrated = (mean(column) for column in zip(*figures, strict=True))
    return Gain(best, default_figure, calibrated, mean(gains), stdev(gains), number)


def check_every_class(counts: Tensor, names: Sequence[str]) -> None:
    """Refuse images that don't show every class.

    Args:
        counts: areas "i s k 3".
        names: of the k classes.

    Raises:
        ValueError: a class has no labelled pixel.
    """
    areas = counts[:, 0, :, 2].sum(0).tolist()
    refuse_missing([name for name, area in zip(names, areas, strict=True) if not area], len(counts))


def refuse_missing(missing: Sequence[str], images: int) -> None:
    """Refuse classes that labelled images don't show.

    Args:
        missing: their names.
        images: how many there are.

    Raises:
        ValueError: there are such classes; all are named.
    """
    if not missing:
        return
    names = ', '.join(map(repr, missing))
    raise ValueError(
        f'{"the classes" if missing[1:] else "the class"} {names} {"have" if missing[1:] else "has"} no labelled '
        f'pixel in the {images} images; label images that show {"them" if missing[1:] else "it"}, or leave the '
        f'{"words" if missing[1:] else "word"} out'
    )
