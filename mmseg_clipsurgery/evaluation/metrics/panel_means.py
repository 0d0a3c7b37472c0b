"""The panel of a run, from sums of `map_panel.pair_figures` over images of even and of odd place in the data set.

    AP, flat_AP, AUROC, pointing, pointing_15, energy, energy_minmax     mean over pairs whose class fills no image
    mSC                   mean of SC over the same                 AP_classes, mSC_classes: mean of the classes' means
    IoU_50, IoU_mean      mean over pairs; IoU_50 is the curve at t = 0.5
    map_mIoU, threshold   the curve at the one t of the whole run that is best: tuned on what it is measured on
    map_mIoU_heldout      the t that is best on one half of the images, measured on the other; both ways

All in percent but `threshold` and `pairs`; NaN for what no pair has.
"""

from typing import Any

from torch import Tensor

from .map_panel import COLUMNS, CURVE, OF_PARTS, THRESHOLDS

MEANS = {name: 'mSC' if name == 'SC' else name for name in OF_PARTS}  # column -> name of its mean over pairs


def panel(halves: Tensor) -> dict[str, float]:
    """The metrics of a run.

    Args:
        halves: "2 k c" float64, sums over the images of even and of odd place.

    Returns:
        Name -> percent, but `threshold` in [0, 1] and `pairs`; NaN for what no pair has.
    """
    classes = halves.sum(dim=0)
    total = classes.sum(dim=0)
    parts, pairs = total[COLUMNS['parts']], total[COLUMNS['pairs']]
    curve = total[CURVE] / pairs
    best = int(curve.argmax())
    means = {name: percent(total[COLUMNS[column]], parts) for column, name in MEANS.items()}
    return {
        **means,
        'AP_classes': class_mean(classes, 'AP'),
        'mSC_classes': class_mean(classes, 'SC'),
        'IoU_50': percent(curve[THRESHOLDS // 2], 1),
        'IoU_mean': percent(total[COLUMNS['IoU_mean']], pairs),
        'map_mIoU': percent(curve[best], 1),
        'threshold': best / (THRESHOLDS - 1),
        'map_mIoU_heldout': held_out(halves),
        'pairs': float(pairs),
    }


def held_out(halves: Tensor) -> float:
    """Mean IoU over all pairs, each half at the threshold that is best on the other; NaN where a half has no pair."""
    sums = halves.sum(dim=1)
    pairs = sums[:, COLUMNS['pairs']]
    if not pairs.all():
        return float('nan')
    best = sums[:, CURVE].argmax(dim=1).flip(0)
    return percent(sums[:, CURVE].gather(1, best[:, None]).sum(), pairs.sum())


def class_mean(classes: Tensor, column: str) -> float:
    """Mean over the classes that occur of a class's mean over its pairs, in percent."""
    found = classes[classes[:, COLUMNS['parts']] > 0]
    return percent((found[:, COLUMNS[column]] / found[:, COLUMNS['parts']]).sum(), len(found))


def class_row(counts: Tensor, best: int) -> dict[str, Any]:
    """AP, IoU at a threshold, SC and number of pairs of a class from its sums "c"."""
    parts, pairs = counts[COLUMNS['parts']], counts[COLUMNS['pairs']]
    figures = {
        'AP': percent(counts[COLUMNS['AP']], parts),
        'map_IoU': percent(counts[best], pairs),
        'SC': percent(counts[COLUMNS['SC']], parts),
    }
    stated = {name: None if value != value else value for name, value in figures.items()}
    return {**stated, 'pairs': int(pairs)}


def percent(total: Tensor | float, count: Tensor | float) -> float:
    """100 times total / count, rounded to four digits; NaN where the count is 0."""
    return round(100 * float(total) / float(count), 4) if float(count) else float('nan')
