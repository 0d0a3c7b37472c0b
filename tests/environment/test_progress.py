"""The line that tells how far a run is."""

from mmseg_clipsurgery.environment.progress import Progress, progress_line

import pytest


@pytest.mark.parametrize(
    ('done', 'total', 'rate', 'expected'),
    [
        (120, 1449, 3.2, '120/1449 images, 3.2 images/s, 6 min 55 s left'),
        (10, 10, 2.0, '10/10 images, 2.0 images/s, 0 s left'),
        (1, 4, 0.125, '1/4 images, 8.0 s/image, 24 s left'),
    ],
)
def test_progress_line(done, total, rate, expected):
    assert progress_line(done, total, rate) == expected


def test_skipped_photos_do_not_count_for_the_speed(capsys):
    progress = Progress(3)
    progress.step(skipped=True)
    progress.start -= 10  # seconds
    progress.step()
    progress.step()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == '3/3 images, 5.0 s/image, 0 s left'


def test_one_photo_needs_no_progress(capsys):
    Progress(1).step()
    assert capsys.readouterr().err == ''
