"""Photos wait for others of their size, never too many; threads keep the order and end with their block."""

import threading
from typing import NamedTuple

from mmseg_clipsurgery.cli import read_ahead
from mmseg_clipsurgery.cli.read_ahead import Beside, Threads, area, batches

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


class Decoded(NamedTuple):
    """A photo's number and pixels, which cost no memory."""

    number: int
    pixels: np.ndarray


def decoded(number: int, height: int, width: int = 10) -> Decoded:
    return Decoded(number, np.broadcast_to(np.uint8(0), (height, width, 3)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([8, 16, 24]), max_size=60), st.integers(1, 5))
def test_every_photo_is_in_one_batch_of_its_size(heights, most):
    photos = [decoded(number, height) for number, height in enumerate(heights)]
    found = list(batches(photos, lambda size: size, most))
    assert sorted(photo.number for batch in found for photo in batch) == list(range(len(photos)))
    for batch in found:
        assert len({photo.pixels.shape for photo in batch}) == 1
        assert len(batch) <= most
        assert [photo.number for photo in batch] == sorted(photo.number for photo in batch)


def test_few_photos_wait(monkeypatch):
    """Photos of ever new sizes are let go, the one that waited longest first."""
    taken = []
    photos = (taken.append(number) or decoded(number, number + 1) for number in range(100))
    for done, batch in enumerate(batches(photos, lambda size: size, 2)):
        assert [photo.number for photo in batch] == [done]
        assert len(taken) - done <= 2 * read_ahead.WAITING_BATCHES + 1


@pytest.mark.parametrize('limit', ['BATCH_PIXELS', 'WAITING_PIXELS'])
def test_large_photos_wait_for_few_others(monkeypatch, limit):
    monkeypatch.setattr(read_ahead, limit, 250)
    photos = [decoded(number, 10) for number in range(8)]  # of 100 pixels
    assert max(area(batch) for batch in batches(photos, lambda size: size, 8)) == 300


@pytest.mark.parametrize('threads', [0, 1, 3])
def test_the_order_is_kept_and_nothing_piles_up(threads):
    begun, beside = [], Beside(threads, ahead=4)
    for number, found in enumerate(beside.mapped(lambda item: begun.append(item) or -item, range(50))):
        assert found == -number
        assert len(begun) <= number + 1 + 4 + 1
    found = [done for item in range(50) for done in beside.do(lambda item: item, item, pixels=1)]
    assert len(found) >= 46
    assert [*found, *beside.rest()] == list(range(50))
    beside.end()


def test_large_results_do_not_wait():
    beside = Beside(1, ahead=4)
    for item in range(3):
        found = list(beside.do(lambda item: item, item, pixels=read_ahead.WAITING_PIXELS + 1))
        assert found == [item]
    beside.end()


@pytest.mark.parametrize('threads', [0, 2])
def test_a_failure_ends_the_block_and_begins_nothing_more(threads):
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), Threads.started(threads, threads, 4) as beside:
        list(beside.readers.mapped(lambda item: 1 // item, [1, 0, *range(1, 90)]))
    assert threading.active_count() == before
