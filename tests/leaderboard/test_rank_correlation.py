"""The rank correlation of figures on scenes with published ones."""

from mmseg_clipsurgery.leaderboard.published import published_rows
from mmseg_clipsurgery.leaderboard.rank_correlation import (
    correlation_line,
    data_sets,
    published_means,
    rank_correlation,
    ranks,
)

import pytest


@pytest.mark.parametrize(
    ('one', 'other', 'expected'),
    [
        pytest.param([1, 2, 3], [10, 20, 90], 1.0, id='the same order'),
        pytest.param([1, 2, 3], [3, 2, 1], -1.0, id='the other way round'),
        pytest.param([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8, id='1 - 6 x 4 / (5 x 24)'),
        pytest.param([1, 1, 2], [1, 2, 3], 3**0.5 / 2, id='a tie'),
    ],
)
def test_spearmans(one, other, expected):
    assert rank_correlation(one, other) == pytest.approx(expected)


def test_equal_values_share_their_rank():
    assert ranks([5, 1, 5, 0]).tolist() == [2.5, 1, 2.5, 0]


def test_published_means_are_of_one_complete_row_without_helpers():
    means = published_means(published_rows())
    assert {'clip', 'clip_surgery', 'sclip', 'scclip', 'rfclip'} <= means.keys()
    assert len(data_sets()) == 8
    row = next(row for row in published_rows() if row.method == 'sclip')
    assert means['sclip'] == pytest.approx(sum(row.mIoU[name] for name in data_sets()) / 8)
    assert 'proxyclip' not in means  # reads a second tower


def test_the_line_says_how_many_methods_it_is_of():
    published = published_means(published_rows())
    line = correlation_line({**published, 'mine': 3.0})
    assert f'({len(published)} methods' in line
    assert ': 1.00.' in line
    assert not correlation_line({'clip': 1.0, 'sclip': 2.0})
