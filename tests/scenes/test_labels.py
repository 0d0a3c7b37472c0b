"""The embedded model's labels are the same whatever the number of threads, and with every PyTorch that is supported."""

import scenes_labels
from mmseg_clipsurgery.scenes import draw_scene

import pytest
import torch


@pytest.fixture
def threads():
    """Set the number of threads; afterwards it is what it was."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize('count', [1, 2, 8])
def test_labels_are_those_on_record(threads, count):
    threads(count)
    assert not any(scenes_labels.differences().values())


@pytest.mark.slow
def test_few_pixels_are_ties_and_most_labels_are_right():
    assert scenes_labels.ties() < 1e-3
    right = [
        (labels == draw_scene('val', int(name[-3:])).mask).mean()
        for name, labels in scenes_labels.recorded().items()
    ]
    assert sum(right) / len(right) > 0.8
