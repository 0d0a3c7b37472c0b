"""The panel of metrics: what one map of one class in one image adds.

    m' = (m - min m) / (max m - min m) over the pixels that count; a flat map counts as 0 everywhere
    G  = the pixels of the class, p their share

    curve           IoU of {m' >= t} with G                              at t = 0, 0.01, ..., 1
    IoU_mean        IoU of {m' > mean of m'} with G
    AP, AUROC       see `pixel_ranking`                                  flat_AP: p, what a flat map gets
    SC              mean of m' on G - mean of m' off G
    pointing        see `pointing`                                       pointing_15: 15 pixels of tolerance
    energy          sum over G of max(m, 0) / sum of max(m, 0)           p where no pixel is above 0
    energy_minmax   sum over G of m' / sum of m'                         p where the map is flat

All but the IoUs are the same for every map where G is the whole image, or have no meaning there; they are left out.
docs/explain.md defines them with what perfect, flat and inverted maps get.
"""

import numpy as np

from .pixel_ranking import pixel_ranking
from .pointing import pointing

THRESHOLDS = 101  # 0, 0.01, ..., 1
CURVE = slice(0, THRESHOLDS)
OF_PARTS = ('AP', 'flat_AP', 'AUROC', 'SC', 'pointing', 'pointing_15', 'energy', 'energy_minmax')
COLUMNS = {name: THRESHOLDS + place for place, name in enumerate(('IoU_mean', *OF_PARTS, 'parts', 'pairs'))}
WIDTH = THRESHOLDS + len(COLUMNS)


def pair_figures(values: np.ndarray, inside: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The figures of one map.

    Args:
        values: "H W", finite.
        inside: "H W" bool, which pixels are of the class; at least one, all of them kept.
        kept: "H W" bool, which pixels count.

    Returns:
        "112" float64 by `COLUMNS`: the curve; the figures, each in [0, 1] but SC in [-1, 1]; `parts`, 1 where the
        class does not fill the image; `pairs`, 1.
    """
    found = np.zeros(WIDTH)
    flat_values, flat_inside = values[kept].astype(np.float64), inside[kept]
    scaled = unit_range(flat_values)
    found[CURVE] = overlap_curve(scaled, flat_inside)
    found[COLUMNS['IoU_mean']] = overlap(scaled > scaled.mean(), flat_inside)
    found[COLUMNS['pairs']] = 1
    if flat_inside.all():
        return found
    average_precision, area = pixel_ranking(values[kept], flat_inside)
    figures = {
        'AP': average_precision,
        'flat_AP': flat_inside.mean(),
        'AUROC': area,
        'SC': scaled[flat_inside].mean() - scaled[~flat_inside].mean(),
        'energy': energy(flat_values.clip(min=0), flat_inside),
        'energy_minmax': energy(scaled, flat_inside),
        'parts': 1,
    }
    figures['pointing'], figures['pointing_15'] = pointing(values, inside, kept)
    for name, figure in figures.items():
        found[COLUMNS[name]] = figure
    return found


def unit_range(values: np.ndarray) -> np.ndarray:
    """Values "n" stretched to [0, 1]; equal ones to 0."""
    lowest, span = values.min(), np.ptp(values)
    return (values - lowest) / (span or 1.0)


def overlap_curve(scaled: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """IoU of {scaled >= t} with a class at every threshold t.

    Args:
        scaled: "n" in [0, 1], float64.
        inside: "n" bool, at least one.

    Returns:
        "101", in [0, 1].
    """
    steps = THRESHOLDS - 1
    level = np.minimum(scaled * steps + 1e-9, steps).astype(np.int64)  # the highest threshold a pixel reaches
    reached = np.bincount(level, minlength=THRESHOLDS)[::-1].cumsum()[::-1]
    hits = np.bincount(level[inside], minlength=THRESHOLDS)[::-1].cumsum()[::-1]
    return hits / (reached + inside.sum() - hits)


def overlap(chosen: np.ndarray, inside: np.ndarray) -> float:
    """IoU of two sets of pixels "n" bool, the second of which is not empty."""
    return float((chosen & inside).sum() / (chosen | inside).sum())


def energy(weights: np.ndarray, inside: np.ndarray) -> float:
    """Share of the sum of weights "n", none below 0, that lies inside; the share of pixels where all are 0."""
    total = weights.sum()
    return float(weights[inside].sum() / total) if total > 0 else float(inside.mean())
