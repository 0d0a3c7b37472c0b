"""Windows as the tower sees them: where they lie, how they are batched, what is logged."""

import logging
from collections import Counter

import segmentors
from mmseg_clipsurgery.inference.windows import window_logits

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import ConfigDict
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

pytestmark = pytest.mark.mmseg

TEXTS = segmentors.texts(3)
WORDS = ['cat', 'dog', 'hen']
Box = tuple[int, int, int, int]


@st.composite
def grids(draw) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(size, crop, stride), each (height, width); crops may exceed the image."""
    sides = []
    for _ in range(2):
        crop = draw(st.integers(1, 20))
        sides.append((draw(st.integers(1, 24)), crop, draw(st.integers(min(crop, 2), crop))))
    return tuple(zip(*sides, strict=True))


def places(size: tuple[int, int]) -> Tensor:
    """An image "3 H W" whose pixels tell their row, column and that they are of the image."""
    rows, columns = torch.meshgrid(*(torch.arange(float(side)) for side in size), indexing='ij')
    return torch.stack([rows, columns, torch.ones(size)])


def box_of(window: Tensor) -> Box:
    """(top, left, bottom, right) of a window of `places`, ends excluded."""
    (top, left), (bottom, right) = (window[:2, end, end].int().tolist() for end in (0, -1))
    return top, left, bottom + 1, right + 1


def batches_seen(images: list[Tensor], **test_cfg) -> list[Tensor]:
    model = segmentors.pixel_segmentor(TEXTS, WORDS, mode='slide', **test_cfg)
    model(images)
    return model.backbone.batches


def boxes_seen(size: tuple[int, int], crop: tuple[int, int], stride: tuple[int, int]) -> list[Box]:
    batches = batches_seen([places(size)], crop_size=crop, stride=stride)
    return sorted(box_of(window) for batch in batches for window in batch)


@given(grids())
@settings(max_examples=40, deadline=None)
def test_windows_lie_inside_and_cover_every_pixel(grid):
    size, crop, _ = grid
    seen = torch.zeros(size)
    for top, left, bottom, right in boxes_seen(*grid):
        assert 0 <= top < bottom <= size[0]
        assert 0 <= left < right <= size[1]
        assert (bottom - top, right - left) == (min(crop[0], size[0]), min(crop[1], size[1]))
        seen[top:bottom, left:right] += 1
    assert seen.min() >= 1


class MMSegsOwn:
    """What `EncoderDecoder.slide_inference` asks of a segmentor; keeps the windows."""

    out_channels = 1

    def __init__(self, crop: tuple[int, int], stride: tuple[int, int]):
        self.test_cfg = ConfigDict(crop_size=crop, stride=stride)
        self.boxes: list[Box] = []

    def encode_decode(self, window: Tensor, metas: list[dict]) -> Tensor:
        self.boxes.append(box_of(window[0]))
        return window[:, :1]


@given(grids())
@settings(max_examples=40, deadline=None)
def test_windows_are_those_of_mmseg(grid):
    size, crop, stride = grid
    reference = MMSegsOwn(crop, stride)
    EncoderDecoder.slide_inference(reference, places(size)[None], [{}])
    assert boxes_seen(*grid) == sorted(reference.boxes)


def test_whole_mode_is_one_window():
    model = segmentors.pixel_segmentor(TEXTS, WORDS)
    image = places((9, 13))
    model([image])
    assert [tuple(batch.shape) for batch in model.backbone.batches] == [(1, 3, 9, 13)]


@pytest.mark.parametrize('window_batch', [1, 3, 64])
def test_window_batches_are_bounded_and_span_images(window_batch):
    """Two images of 6 and 4 windows of one size, one of 1 window of another."""
    sizes = [(8, 12), (8, 8), (4, 5)]
    batches = batches_seen(
        [places(size) for size in sizes], crop_size=(6, 6), stride=(3, 3), window_batch=window_batch
    )
    counts = Counter(tuple(batch.shape[2:]) for batch in batches for _ in batch)
    assert counts == {(6, 6): 2 * 3 + 2 * 2, (4, 5): 1}
    assert len(batches) == -(-10 // window_batch) + 1
    assert max(len(batch) for batch in batches) <= window_batch


def test_a_crop_of_one_number_is_square():
    size = (10, 14)
    batches = batches_seen([places(size)], crop_size=6, stride=4)
    assert sorted(box_of(window) for batch in batches for window in batch) == boxes_seen(size, (6, 6), (4, 4))


def test_padded_windows_have_centred_zeros():
    """Windows of 5 x 6 and patch 4: one row before, two after; one column before and after."""
    model = segmentors.pixel_segmentor(
        TEXTS, WORDS, patch=4, mode='slide', crop_size=(5, 6), stride=(5, 6), pad_windows=True
    )
    image = places((5, 6))
    (logits,) = model([image])
    (window,) = model.backbone.batches[0]
    assert torch.equal(window, F.pad(image, (1, 1, 1, 2)))
    grid = F.avg_pool2d(window[None], 4)
    cosines = F.cosine_similarity(grid, TEXTS[:, :, None, None], dim=1)
    upsampled = F.interpolate(cosines[None], size=(8, 8), mode='bilinear')[0]
    torch.testing.assert_close(logits, upsampled[:, 1:6, 1:7], check_dtype=False)


def test_windows_without_padding_lose_the_remainder_and_are_upsampled_whole():
    model = segmentors.pixel_segmentor(TEXTS, WORDS, patch=4, mode='slide', crop_size=(6, 9), stride=(6, 9))
    image = segmentors.images((6, 9))[0]
    (logits,) = model([image])
    grid = F.avg_pool2d(image[None, :, :4, :8], 4)
    cosines = F.cosine_similarity(grid, TEXTS[:, :, None, None], dim=1)
    upsampled = F.interpolate(cosines[None], size=(6, 9), mode='bilinear')[0]
    torch.testing.assert_close(logits, upsampled, check_dtype=False)


def test_clipping_to_smaller_images_is_logged_once(caplog):
    """A crop that no other test uses: it is logged once in a process."""
    with caplog.at_level(logging.WARNING, logger='mmseg_clipsurgery'):
        model = segmentors.pixel_segmentor(TEXTS, WORDS, mode='slide', crop_size=(31, 17), stride=(9, 9))
        model(segmentors.images((31, 17), (40, 40)))
        assert not caplog.messages
        for _ in range(2):
            model(segmentors.images((12, 20), (31, 16)))
    (message,) = caplog.messages
    assert '31 x 17' in message


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_logits_from_which_no_label_follows_are_refused(value):
    """By any way, since every way goes through windows: NaN would count as the first word."""
    logits = torch.zeros(1, 2, 3, 4)
    logits[0, 1, 2, 3] = value
    with pytest.raises(ValueError, match='the logits of a window hold NaN or infinite values'):
        window_logits([torch.zeros(3, 12, 16)], lambda _: logits)
