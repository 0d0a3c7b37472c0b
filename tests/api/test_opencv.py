"""Decoding and resizing by OpenCV itself: mmcv's own results to the bit."""

import io

import photos
from mmseg_clipsurgery.api.input_sizes import LONG_SIDE, whole_patches, with_short_side
from mmseg_clipsurgery.api.opencv import CODES, contours, decode, resize, size_within

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

pytestmark = pytest.mark.mmseg
mmcv = pytest.importorskip('mmcv')

SIDES = st.integers(1, 700)
PHOTO = photos.photo(23, 37)


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    """By OpenCV; "H W", "H W 3" BGR or "H W 4", 8 or 16 bits."""
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return data.tobytes()


def by_pillow(mode: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PHOTO).convert(mode).save(file, **options)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return by_pillow('RGB', format='JPEG', quality=90, exif=exif)


DEEP = np.random.default_rng(0).integers(0, 65536, (23, 37, 4), np.uint16)
FILES = {
    'colour': encoded(PHOTO, '.png'),
    'grey': encoded(PHOTO[..., 0], '.png'),
    'alpha': encoded(np.dstack([PHOTO, PHOTO[..., 0]]), '.png'),
    '16 bits': encoded(DEEP[..., :3], '.png'),
    '16 bits, grey': encoded(DEEP[..., 0], '.png'),
    '16 bits, alpha': encoded(DEEP, '.png'),
    'TIFF of 16 bits': encoded(DEEP[..., :3], '.tiff'),
    'palette': by_pillow('P', format='PNG'),
    '1 bit': by_pillow('1', format='PNG'),
    'grey and alpha': by_pillow('LA', format='PNG'),
    'JPEG': by_pillow('RGB', format='JPEG', quality=70),
    'grey JPEG': by_pillow('L', format='JPEG'),
    'CMYK': by_pillow('CMYK', format='JPEG'),
    'progressive': by_pillow('RGB', format='JPEG', progressive=True),
    'WebP': by_pillow('RGB', format='WEBP'),
    'BMP': by_pillow('RGB', format='BMP'),
    **{f'EXIF {orientation}': turned(orientation) for orientation in range(1, 9)},
}


@pytest.mark.parametrize('data', FILES.values(), ids=FILES.keys())
def test_decoding_is_mmcvs(data):
    found = decode(data)
    assert np.array_equal(found, mmcv.imfrombytes(data, flag='color', channel_order='rgb', backend='cv2'))
    assert (found.dtype, found.shape[2], found.flags.c_contiguous) == (np.uint8, 3, True)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([*CODES]), st.sampled_from([np.uint8, np.float32]))
@examples(max_examples=60, deadline=None)
def test_resizing_is_mmcvs(height, width, new_height, new_width, interpolation, dtype):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(dtype)
    found = resize(pixels, (new_height, new_width), interpolation)
    expected = mmcv.imresize(pixels, (new_width, new_height), interpolation=interpolation, backend='cv2')
    assert np.array_equal(found, expected)
    assert found.dtype == dtype


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 3000))
@example(375, 500, 336)
@example(333, 499, 448)
@example(300, 3000, 336)
@example(600, 900, 3000)
@examples(max_examples=150, deadline=None)
def test_the_ratio_is_kept_as_mmcv_keeps_it(height, width, short_side):
    expected = mmcv.rescale_size((width, height), (LONG_SIDE, short_side))[::-1]
    assert size_within((height, width), short_side, LONG_SIDE) == tuple(max(1, side) for side in expected)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize('size', [(375, 500), (500, 333), (40, 900), (33, 41), (101, 101)], ids=str)
@pytest.mark.parametrize('short_side', [24, 64, 101, 336])
def test_photos_are_resized_as_by_mmseg(size, short_side, dtype):
    pixels = photos.photo(*size).astype(dtype)
    assert np.array_equal(
        with_short_side(pixels, short_side, 1), mmcv.imrescale(pixels, (LONG_SIDE, short_side), backend='cv2')
    )


@pytest.mark.parametrize('size', [(375, 500), (33, 41), (64, 112)], ids=str)
@pytest.mark.parametrize('short_side', [16, 96, 512])
def test_whole_patches_average_or_smooth(size, short_side):
    pixels = photos.photo(*size)
    found = whole_patches(pixels, short_side, 16)
    shrinks = found.shape[0] * found.shape[1] < size[0] * size[1]
    interpolation = 'area' if shrinks else 'bicubic'
    expected = mmcv.imresize(pixels, found.shape[1::-1], interpolation=interpolation, backend='cv2')
    assert np.array_equal(found, expected)


def test_contours_are_the_pixels_that_touch_what_is_outside():
    mask = np.random.default_rng(0).random((20, 30)) < 0.6
    inside = np.pad(mask, 1)
    touches = ~(inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:])
    found = [points for outer, holes in contours(mask) for points in (outer, *holes)]
    drawn = np.zeros_like(mask)
    for points in found:
        drawn[points[:, 1], points[:, 0]] = True
    assert np.array_equal(drawn, mask & touches)
    assert contours(np.zeros((3, 4), bool)) == []
