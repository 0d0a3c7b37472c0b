"""The rank correlation of figures on scenes with published ones."""

from mmseg_clipsurgery.leaderboard import tables
from mmseg_clipsurgery.leaderboard.published import Row, data_sets_of_methods, published_rows
from mmseg_clipsurgery.leaderboard.rank_correlation import correlation_line, published_means

import pytest


def row(method, figure, **changes):
    figures = dict.fromkeys(data_sets_of_methods(), figure)
    return Row(
        **{
            **dict(method=method, title=method, protocol='sclip', backbone='ViT-B/16', origin='published'),
            **dict(source='a paper', mIoU=figures),
            **changes,
        }
    )


def test_published_means_are_of_the_first_complete_row_without_helpers():
    assert len(data_sets_of_methods()) == 8
    rows = [
        row('mine', 1.0, post_processing='PAMR'),
        row('mine', 2.0, other_models='DINO'),
        row('mine', 3.0, backbone='ViT-L/14'),
        row('mine', 4.0, mIoU={'voc21': 4.0}),
        row('mine', 5.0),
        row('mine', 6.0),
    ]
    assert published_means(rows) == {'mine': 5.0}


@pytest.mark.parametrize(
    ('change', 'stated'),
    [(lambda mean: mean, '1.00'), (lambda mean: -mean, '-1.00'), (lambda mean: 50.0, '0.00')],
    ids=['the same order', 'the other way round', 'all alike'],
)
def test_the_line_states_correlation_and_number_of_methods(change, stated):
    published = published_means(published_rows())
    line = correlation_line({**{name: change(mean) for name, mean in published.items()}, 'mine': 3.0})
    assert f'{len(published)} methods' in line
    assert f': {stated}. A fact' in line


METHODS = ('clip', 'maskclip', 'sclip', 'clearclip', 'naclip', 'gem')


def test_few_methods_have_no_correlation():
    assert not correlation_line({**dict.fromkeys(METHODS[1:], 1.0), 'mine': 3.0})
    assert correlation_line(dict.fromkeys(METHODS, 1.0))


def test_parts_of_the_scenes_and_other_protocols_do_not_count():
    def result(method, figure, protocol='scenes', images=200):
        cell = dict(method=method, data_set='scenes', protocol=protocol, backbone='')
        stated = dict(dataset='ScenesDataset', split='ImageSets/Segmentation/val.txt', images=images)
        return {'cell': cell, 'metrics': {'mIoU': figure}, 'protocol': stated}

    whole = [result(method, figure) for figure, method in enumerate(METHODS)]
    expected = correlation_line({method: figure for figure, method in enumerate(METHODS)})
    assert expected
    more = [result('scclip', 90.0, images=2), result('clip', 95.0, protocol='sclip')]
    for cells in (whole, whole + more):
        assert tables.scenes_table(cells).splitlines()[-1] == expected
