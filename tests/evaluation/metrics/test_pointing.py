"""The pointing game: ties, ignored pixels, a tolerance that is strict, SciPy's distances."""

from mmseg_clipsurgery.evaluation.metrics.pointing import TOLERANCE, pointing

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

EVERY = np.ones((40, 50), dtype=bool)


def map_with_peaks(*places: tuple[int, int]) -> np.ndarray:
    values = np.zeros(EVERY.shape)
    for place in places:
        values[place] = 1
    return values


def mask_of(*places: tuple[int, int]) -> np.ndarray:
    return map_with_peaks(*places) > 0


# name -> (peaks, mask, plain, tolerant): a mask pixel exactly 15 away is a miss
CASES = {
    'on it': ([(3, 4)], [(3, 4), (9, 9)], 1, 1),
    '14 below': ([(3, 4)], [(17, 4)], 0, 1),
    '15 below': ([(3, 4)], [(18, 4)], 0, 0),
    '15 to the right': ([(3, 4)], [(3, 19)], 0, 0),
    '9 and 12 away': ([(3, 4)], [(12, 16)], 0, 0),
    '9 and 11 away': ([(3, 4)], [(12, 15)], 0, 1),
    'one of two peaks': ([(3, 4), (30, 40)], [(3, 4)], 0.5, 0.5),
    'one on it, one near': ([(3, 4), (8, 4)], [(3, 4)], 0.5, 1),
}


@pytest.mark.parametrize(('peaks', 'mask', 'plain', 'tolerant'), CASES.values(), ids=CASES.keys())
def test_cases(peaks, mask, plain, tolerant):
    found = pointing(map_with_peaks(*peaks), mask_of(*mask), EVERY)
    assert found.tolist() == [plain, tolerant]


def test_a_flat_map_gets_the_share_of_the_image():
    inside = np.arange(EVERY.size).reshape(EVERY.shape) % 8 == 0
    assert pointing(np.zeros(EVERY.shape), inside, EVERY)[0] == inside.mean()


def test_a_peak_on_an_ignored_pixel_does_not_count():
    kept = EVERY & ~mask_of((3, 4))
    values = map_with_peaks((3, 4)) * 2 + map_with_peaks((30, 40))
    assert pointing(values, mask_of((30, 40)), kept)[0] == 1


def test_a_tolerance_of_one_is_the_plain_game():
    rng = np.random.default_rng(0)
    for _ in range(20):
        plain, tolerant = pointing(rng.integers(3, size=(40, 50)), rng.random((40, 50)) < 0.3, EVERY, 1)
        assert plain == tolerant


@pytest.mark.parametrize('tolerance', [2, 5, TOLERANCE])
def test_equals_distances_of_scipy(tolerance):
    rng = np.random.default_rng(tolerance)
    for _ in range(20):
        values, inside = rng.integers(4, size=(40, 50)), rng.random((40, 50)) < 0.003
        inside[rng.integers(40), rng.integers(50)] = True
        near = distance_transform_edt(~inside) < tolerance
        assert pointing(values, inside, EVERY, tolerance)[1] == near[values == values.max()].mean()
