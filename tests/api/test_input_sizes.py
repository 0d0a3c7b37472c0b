"""How large photos are read: defaults from the tower, what may be set, whole patches."""

from types import SimpleNamespace

import photos
from mmseg_clipsurgery.api.input_sizes import InputSizes, whole_patches, with_short_side

import numpy as np
import pytest

pytestmark = pytest.mark.mmseg


def tower(side: int, patch: int) -> SimpleNamespace:
    return SimpleNamespace(trained_grid=(side // patch, side // patch), patch=patch)


@pytest.mark.parametrize(
    ('side', 'patch', 'expected'),
    [
        pytest.param(224, 16, (336, 224, 112, 512, 224), id='the leaderboard, and the paper'),
        pytest.param(336, 14, (504, 336, 168, 768, 336), id='336'),
        pytest.param(96, 8, (96, None, None, 96, 96), id='scenes'),
    ],
)
def test_defaults(side, patch, expected):
    sizes = InputSizes.of(tower(side, patch), dict(segment='auto', window='auto'))
    assert (sizes.segment, sizes.window, sizes.stride, sizes.explain, sizes.recognise) == expected


def test_given_sizes_win():
    sizes = InputSizes.of(tower(224, 16), dict(segment=448, window=160, explain=None, stride='auto'))
    assert sizes == InputSizes(448, 160, 80, None, 224)
    assert sizes.inference() == dict(mode='slide', crop_size=160, stride=80)
    whole = InputSizes.of(tower(224, 16), dict(window=None))
    assert whole.inference() == dict(mode='whole')


@pytest.mark.parametrize('wrong', [0, -3, 1.5, True, '448'])
def test_wrong_sizes(wrong):
    with pytest.raises(ValueError, match="window must be a number of pixels, None or 'auto'"):
        InputSizes.of(tower(224, 16), dict(window=wrong))


def test_sizes_have_a_limit():
    assert InputSizes.of(tower(224, 16), dict(segment=8192)).segment == 8192
    with pytest.raises(ValueError, match='short_side must be at most 8192 pixels, got 1000000'):
        InputSizes.of(tower(224, 16), dict(segment=1_000_000))


@pytest.mark.parametrize(
    ('size', 'side', 'expected'),
    [
        ((375, 500), 64, (64, 85)),
        ((500, 333), 64, (96, 64)),
        ((40, 900), 64, (64, 1440)),
        ((40, 4000), 64, (20, 2048)),
        ((1, 20000), 224, (1, 2048)),
    ],
    ids=['landscape', 'portrait', 'enlarged', 'long side first', 'at least a pixel'],
)
def test_the_short_side_keeps_the_ratio(size, side, expected):
    assert with_short_side(np.zeros((*size, 3), np.uint8), side, 1).shape == (*expected, 3)


def test_no_short_side_leaves_pixels_alone():
    pixels = photos.photo()
    assert with_short_side(pixels, None, 4) is pixels


@pytest.mark.parametrize(
    ('size', 'side', 'expected'),
    [
        pytest.param((375, 500), 512, (512, 688), id='landscape'),
        pytest.param((500, 375), 512, (688, 512), id='portrait'),
        pytest.param((64, 112), None, (64, 112), id='fits already'),
        pytest.param((70, 100), None, (64, 96), id='own size'),
        pytest.param((5, 900), None, (16, 896), id='thin'),
        pytest.param((100, 2000), 224, (96, 2048), id='long side first'),
    ],
)
def test_whole_patches(size, side, expected):
    pixels = photos.photo(*size)
    assert whole_patches(pixels, side, 16).shape == (*expected, 3)
    floats = whole_patches(pixels.astype(np.float32), side, 16)
    assert floats.dtype == np.float32
    if expected == size:
        assert whole_patches(pixels, side, 16) is pixels


def test_shrinking_averages():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    assert np.ptp(whole_patches(stripes, 16, 4)) <= 1


@pytest.mark.parametrize('short_side', [24, None], ids=['resized', 'own size'])
@pytest.mark.parametrize('size', [(1, 300), (300, 1), (1, 20000), (2, 2), (3, 400)], ids=str)
def test_strips_are_stretched_to_a_patch(size, short_side):
    resized = with_short_side(np.zeros((*size, 3), np.uint8), short_side, 4)
    assert min(resized.shape[:2]) >= 4
    assert max(resized.shape[:2]) >= min(max(size), 2048)
