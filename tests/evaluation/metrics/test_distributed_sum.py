"""Sums over processes: every image once, whatever the sampler repeats."""

from mmseg_clipsurgery.evaluation.metrics import distributed_sum
from mmseg_clipsurgery.evaluation.metrics.distributed_sum import DistributedSum, images_owned

import pytest
import torch

pytestmark = pytest.mark.mmseg


@pytest.mark.parametrize('world', [1, 2, 3, 5])
def test_processes_own_every_image_once(world):
    for size in range(12):
        shares = [len(range(rank, size, world)) for rank in range(world)]
        assert [images_owned(size, rank, world) for rank in range(world)] == shares


def test_a_repeated_last_image_is_left_out(monkeypatch):
    monkeypatch.setattr(distributed_sum, 'get_dist_info', lambda: (1, 2))
    found = DistributedSum()
    for value in (1.0, 2.0, 4.0):  # three images seen, and two owned of five
        found.add(torch.tensor([value]))
    assert found.total(5, torch.zeros(1)).tolist() == [3.0]
    assert found.total(6, torch.zeros(1)).tolist() == [7.0]


def test_a_process_that_owns_no_image_adds_nothing(monkeypatch):
    monkeypatch.setattr(distributed_sum, 'get_dist_info', lambda: (1, 2))
    assert DistributedSum().total(1, torch.zeros(2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ('rank', 'world', 'size', 'seen'),
    [(0, 1, 6, 4), (0, 1, 6, 7), (0, 2, 2, 3), (1, 2, 5, 1), (0, 2, 5, 4), (1, 2, 6, 4), (2, 3, 4, 3)],
)
def test_images_that_are_not_divided_among_the_processes_are_an_error(monkeypatch, rank, world, size, seen):
    """Left out (by drop_last), or more than the one that fills a process up."""
    monkeypatch.setattr(distributed_sum, 'get_dist_info', lambda: (rank, world))
    found = DistributedSum()
    for _ in range(seen):
        found.add(torch.ones(1))
    with pytest.raises(
        ValueError, match=f'evaluated {seen} images and its share .* drop_last=False.*DefaultSampler'
    ):
        found.surplus(size)
