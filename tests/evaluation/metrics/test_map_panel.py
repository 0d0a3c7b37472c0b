"""The panel's figures of one pair: closed forms of docs/explain.md, ignored pixels, scikit-learn's overlap."""

from mmseg_clipsurgery.evaluation.metrics.map_panel import (
    COLUMNS,
    CURVE,
    OF_PARTS,
    energy,
    overlap,
    overlap_curve,
    pair_figures,
    unit_range,
)

import numpy as np
import pytest

SIDE = 20
EVERY = np.ones((SIDE, SIDE), dtype=bool)
NAMES = ('AP', 'AUROC', 'IoU_50', 'IoU_mean', 'best', 'SC', 'pointing', 'energy', 'energy_minmax')


def share(p: float) -> np.ndarray:
    """A mask that is the last share p of the pixels."""
    return np.arange(SIDE * SIDE).reshape(SIDE, SIDE) >= round((1 - p) * SIDE * SIDE)


def figures(values: np.ndarray, inside: np.ndarray, kept: np.ndarray = EVERY) -> dict[str, float]:
    found = pair_figures(values, inside, kept)
    curve = found[CURVE]
    return {
        **{name: found[place] for name, place in COLUMNS.items()},
        'IoU_50': curve[50],
        'best': curve.max(),
    }


def of_map(kind: str, p: float) -> dict[str, float]:
    inside = share(p)
    ramp = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)
    maps = {'perfect': inside * 1.0, 'flat': np.full_like(ramp, 0.3), 'inverted': 1.0 - inside, 'ramp': ramp}
    return figures(maps[kind], inside)


# kind -> p -> the figures of `NAMES`: a class's share of the image is p
CLOSED = {
    'perfect': lambda p: (1, 1, 1, 1, 1, 1, 1, 1, 1),
    'flat': lambda p: (p, 0.5, 0, 0, p, 0, p, p, p),
    'inverted': lambda p: (p, 0, 0, 0, p, -1, 0, 0, 0),
    'ramp': lambda p: (1, 1, *(min(p, 0.5) / max(p, 0.5),) * 2, 1, 0.5, 1, 2 * p - p**2, 2 * p - p**2),
}


@pytest.mark.parametrize('p', [0.2, 0.5, 0.8])
@pytest.mark.parametrize('kind', CLOSED)
def test_closed_forms(kind, p):
    found = of_map(kind, p)
    wanted = dict(zip(NAMES, CLOSED[kind](p), strict=True))
    # a ramp over 400 pixels is one over a continuum to half a pixel
    tolerance = 4e-3 if kind == 'ramp' else 1e-12
    assert {name: found[name] for name in NAMES} == pytest.approx(wanted, abs=tolerance)
    assert found['flat_AP'] == pytest.approx(p)
    assert found['parts'] == found['pairs'] == 1


@pytest.mark.parametrize(
    ('shift', 'wanted'), [(1, 2 * 0.2 / 1.2), (-5, 0.2)], ids=['all above 0', 'all below 0']
)
def test_energy_by_clipping_depends_on_the_shift_and_by_the_stretch_does_not(shift, wanted):
    found = figures(share(0.2) + float(shift), share(0.2))
    assert found['energy'] == pytest.approx(wanted)
    assert found['energy_minmax'] == 1


def test_energies_of_classes_that_cover_the_image_sum_to_one():
    values = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    masks = share(0.3), share(0.7) & ~share(0.3), ~share(0.7)
    for name in ('energy', 'energy_minmax'):
        assert sum(figures(values, mask)[name] for mask in masks) == pytest.approx(1)


def test_a_mask_that_fills_its_image_has_overlaps_alone():
    found = pair_figures(np.random.default_rng(0).random((SIDE, SIDE)), EVERY, EVERY)
    assert found[CURVE][0] == 1
    assert found[COLUMNS['IoU_mean']] > 0
    assert found[COLUMNS['pairs']] == 1
    assert not any(found[COLUMNS[name]] for name in (*OF_PARTS, 'parts'))


def test_a_mask_that_fills_what_is_not_ignored_fills_its_image():
    found = figures(np.random.default_rng(0).random((SIDE, SIDE)), share(0.5), kept=share(0.5))
    assert (found['parts'], found['pairs']) == (0, 1)


def test_ignored_pixels_change_nothing():
    rng = np.random.default_rng(0)
    values, inside = rng.random((SIDE, SIDE)), rng.random((SIDE, SIDE)) < 0.4
    wider = np.full((SIDE, SIDE + 3), 9.0)
    wider[:, :SIDE] = values
    pad = np.zeros((SIDE, 3), dtype=bool)
    found = pair_figures(wider, np.hstack([inside, pad]), np.hstack([EVERY, pad]))
    assert found == pytest.approx(pair_figures(values, inside, EVERY))


def test_one_pixel_that_is_higher_than_all():
    """It compresses the stretched map: thresholds and contrast suffer, the ranking does not."""
    values = share(0.5) * 1.0
    values[-1, -1] = 100
    found = figures(values, share(0.5))
    assert found['AP'] == 1
    assert found['SC'] < 0.02
    assert found['IoU_50'] == 1 / 200
    assert found['best'] == 1


def test_the_overlap_curve_falls_onto_the_reached_values():
    curve = overlap_curve(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]))
    assert curve[[0, 50, 51, 100]] == pytest.approx([2 / 3, 1, 0.5, 0.5])


def test_equal_values_stretch_to_zero():
    assert unit_range(np.full(3, 0.29999999999999993)).tolist() == [0, 0, 0]


def test_no_energy_at_all_is_the_share():
    assert energy(np.zeros(4), np.array([True, False, False, False])) == 0.25


@pytest.mark.slow
def test_overlaps_equal_scikit_learn():
    from sklearn.metrics import jaccard_score

    rng = np.random.default_rng(0)
    for _ in range(10):
        scaled, inside = unit_range(rng.random(80)), rng.random(80) < 0.3
        inside[0] = True
        curve = overlap_curve(scaled, inside)
        for level in (0, 20, 50, 90):
            assert curve[level] == pytest.approx(jaccard_score(inside, scaled >= level / 100))
        mean = scaled > scaled.mean()
        assert overlap(mean, inside) == pytest.approx(jaccard_score(inside, mean))
