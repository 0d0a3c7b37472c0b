"""AP and AUROC of pixels: closed forms, ties, scikit-learn's numbers."""

from mmseg_clipsurgery.evaluation.metrics.pixel_ranking import pixel_ranking

import numpy as np
import pytest

INSIDE = np.arange(10) >= 6  # p = 0.4
# name -> (values, AP, AUROC)
CLOSED = {
    'perfect': (INSIDE.astype(float), 1, 1),
    'ramp': (np.arange(10.0), 1, 1),
    'flat': (np.full(10, 0.3), 0.4, 0.5),
    'inverted, tied': (1.0 - INSIDE, 0.4, 0),
    'inverted, strict': (-np.arange(10.0), np.mean([1 / 7, 2 / 8, 3 / 9, 4 / 10]), 0),
    'half tied': (np.where(np.arange(10) >= 2, 1.0, 0.0), 0.5, 2 / 6 + 0.5 * 4 / 6),
}


@pytest.mark.parametrize(('values', 'ap', 'auroc'), CLOSED.values(), ids=CLOSED.keys())
def test_closed_forms(values, ap, auroc):
    assert pixel_ranking(values, INSIDE) == pytest.approx((ap, auroc), abs=1e-12)


def test_a_rising_function_of_the_values_changes_nothing():
    values = np.random.default_rng(0).normal(size=50)
    inside = np.arange(50) % 3 == 0
    assert pixel_ranking(values, inside) == pixel_ranking(np.exp(values), inside)


@pytest.mark.slow
@pytest.mark.parametrize('levels', [0, 2, 5, 30], ids=['all differ', '2 levels', '5 levels', '30 levels'])
def test_equals_scikit_learn(levels):
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(levels)
    for _ in range(20):
        values = rng.integers(levels, size=90).astype(np.float32) if levels else rng.normal(size=90)
        inside = rng.random(90) < rng.uniform(0.05, 0.95)
        inside[:2] = True, False
        wanted = average_precision_score(inside, values), roc_auc_score(inside, values)
        assert pixel_ranking(values, inside) == pytest.approx(wanted, abs=1e-12)
