"""How well values rank pixels: average precision and the area under the ROC curve, by a real sort.

    AP    = mean over the pixels x of the class of  #{class at or above v_x} / #{all at or above v_x}
    AUROC = mean over the same of  (#{others below v_x} + #{others equal to v_x} / 2) / #{others}

Equal values count together. Both are what scikit-learn's `average_precision_score` and `roc_auc_score` give. Neither
needs a threshold, and no rising function of the values changes them. Bins in place of the sort miss AP by up to 0.003.
"""

import numpy as np

from .average_precision import precision_at


def pixel_ranking(values: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """AP and AUROC of one map.

    Args:
        values: "n", finite.
        inside: "n" bool, which pixels are of the class; some are and some are not.

    Returns:
        (AP, AUROC), each in [0, 1]. Equal values everywhere give (share of the class, 0.5).
    """
    own, others = np.sort(values[inside]), np.sort(values[~inside])
    below = np.searchsorted(others, own, side='left')
    not_above = np.searchsorted(others, own, side='right')
    area = (below + not_above).mean() / 2 / len(others)
    return float(precision_at(own, others).mean()), float(area)
