"""Progress of a test run: when a line is written, and the speed that results say."""

from types import SimpleNamespace

from mmseg_clipsurgery.evaluation.hooks import progress
from mmseg_clipsurgery.evaluation.hooks.progress import ProgressHook

import pytest

pytestmark = pytest.mark.mmseg


def test_speed_tells_the_first_batch_apart():
    hook = ProgressHook()
    hook.seconds, hook.first_batch_seconds, hook._first_batch, hook._done = 12.0, 10.0, 2, 6
    assert hook.speed(6) == dict(
        seconds=12.0, images_per_second=0.5, first_batch_seconds=10.0, images_per_second_after_first_batch=2.0
    )


def test_speed_of_a_single_batch_has_no_later_part():
    hook = ProgressHook()
    hook.seconds, hook.first_batch_seconds, hook._first_batch, hook._done = 4.0, 4.0, 2, 2
    assert hook.speed(2)['images_per_second_after_first_batch'] is None


@pytest.mark.parametrize(
    ('rank', 'expected'),
    [
        pytest.param(
            0, ['4/10 images, 4.0 images/s, 2 s left', '10/10 images, 4.0 images/s, 0 s left'], id='first'
        ),
        pytest.param(1, [], id='second'),
    ],
)
def test_the_first_of_two_processes_logs_at_the_interval_and_at_the_end(monkeypatch, rank, expected):
    clock = iter(range(100))  # a batch takes a second
    monkeypatch.setattr(progress.time, 'perf_counter', lambda: next(clock))
    monkeypatch.setattr(progress, 'get_dist_info', lambda: (rank, 2))
    monkeypatch.setattr(progress.sys, 'stderr', SimpleNamespace(isatty=lambda: False))
    lines = []
    loader = type('Loader', (), dict(dataset=range(10), __len__=lambda self: 3))()
    runner = SimpleNamespace(test_dataloader=loader, logger=SimpleNamespace(info=lines.append))
    hook = ProgressHook(interval=1.0)
    hook.before_test_epoch(runner)
    for index, images in enumerate([2, 2, 2]):
        hook.interval = 1.0 if index == 0 else 10.0
        hook.after_test_iter(runner, index, outputs=[None] * images)
    assert lines == expected
