"""Tables of explainers: order, columns, marks, published figures beside ours, what is no result."""

import csv
import io
import json

import explained
from mmseg_clipsurgery.leaderboard import charts, explain_pages, explain_tables

import pytest

pytestmark = pytest.mark.mmseg


def rows(table: str) -> list[list[str]]:
    """Cells of a Markdown table, without its rule; the heads first."""
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]
    return [lines[0], *lines[2:]]


def kept(folder, *results: dict):
    """A folder of these results."""
    for number, one in enumerate(results):
        path = folder / one['run']['data_set'] / f'{number}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(one))
    return folder


def test_the_highest_ap_stands_first_and_what_has_none_last(tmp_path):
    names = {'clip': 30.0, 'clip_surgery:released': 90.0, 'norms': None, 'legrad': 80.0}
    found = explain_pages.read_results(kept(tmp_path, *(explained.result(*one) for one in names.items())))
    heads, *lines = rows(explain_tables.panel_table(found))
    assert heads[:4] == ['explainer', 'name', 'AP', 'AP, flat map']
    assert [line[:3] for line in lines] == [
        ['CLIP Surgery + feature surgery', '`clip_surgery:released`', '90.00'],
        ['LeGrad, last 2 blocks', '`legrad`', '80.00'],
        ['CLIP', '`clip`', '30.00'],
        ['norms', '`norms`', ''],
    ]
    assert heads[-2:] == ['pairs', 'cost']
    assert lines[0][-2:] == ['7', '1.25']


@pytest.mark.parametrize(
    ('name', 'title'),
    {
        'rclip': 'raw CLIP, reversed',
        'gem': 'GEM',
        'gem:released': 'GEM + feature surgery',
        'gem:paper': 'GEM + feature surgery (paper)',
        'mine:released': 'mine + feature surgery',
        'unknown': 'unknown',
    }.items(),
)
def test_titles(name, title):
    assert explain_tables.title_of(name) == title


def test_a_result_of_a_part_of_the_images_is_marked():
    part = explained.result('clip', protocol={'dataset': 'PascalVOCDataset', 'images': 100})
    assert '`clip` (100 of 1449 images)' in explain_tables.panel_table([part])
    assert '70.13 (100 of 1449 images)' in explain_tables.ap_table({'voc': [part]})


def test_points_lead_where_a_data_set_has_points_alone():
    points = explained.result('gem', metrics={'point_AP': 80.0, 'point_mIoU': 50.0, 'points': 9.0})
    heads, line = rows(explain_tables.panel_table([points]))
    assert heads == ['explainer', 'name', 'point AP', 'p-mIoU', 'points', 'cost']
    assert line == ['GEM', '`gem`', '80.00', '50.00', '9', '1.25']


def test_ap_over_data_sets():
    found = {'scenes': [explained.result('legrad', 80.0), explained.result('gem', 70.0)]}
    found['voc'] = [explained.result('gem', 60.0, 'voc'), explained.result('rclip', 50.0, 'voc')]
    heads, *lines = rows(explain_tables.ap_table(found))
    assert heads[2:] == ['scenes', 'voc']
    assert [line[1:] for line in lines] == [
        ['`legrad`', '80.00', ''],
        ['`gem`', '70.00', '60.00'],
        ['`rclip`', '', '50.00'],
    ]


PUBLISHED_TOWER = {'arch': 'ViT-B-16', 'pretrained': 'openai'}


def beside(**protocol) -> dict[tuple[str, str, str], str]:
    """(explainer, figure, published) -> what stands beside, of a result of raw CLIP."""
    own = explained.result('clip', data_set='context59', protocol=protocol)
    lines = rows(explain_tables.published_table([own]))[1:]
    assert all(line[3] and line[4].startswith(('yes', 'in part', 'no')) for line in lines)
    return {(line[0], line[2], line[5]): line[6] for line in lines}


def test_our_figure_stands_beside_the_published_one():
    found = beside(**PUBLISHED_TOWER)
    assert found['raw CLIP', 'map mIoU', '15.76'] == '60.50'
    assert found['raw CLIP', 'mSC', '-16.73'] == '-3.20'
    assert found['CLIP Surgery', 'map mIoU', '46.28'] == ''
    assert found['LeGrad', 'p-mIoU', '48.4'] == ''


def test_a_figure_of_other_images_is_marked_there_and_one_of_another_tower_left_out():
    part = beside(**PUBLISHED_TOWER, dataset='PascalVOCDataset', images=100)
    assert part['raw CLIP', 'mSC', '-16.73'] == '-3.20 (100 of 1449 images)'
    assert not any(beside(arch='ViT-L-14', pretrained='openai').values())


def test_every_figure_has_a_line():
    table = explain_tables.csv_table([explained.result('legrad', None)])
    found = {row['metric']: row for row in csv.DictReader(io.StringIO(table))}
    assert found.keys() == explained.METRICS.keys()
    assert (found['mSC']['value'], found['mSC']['cost'], found['AP']['value']) == ('-3.2000', '1.250', '')


def test_the_picture_has_a_point_for_each_cost_and_figure(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, 'draw_costs', lambda panels, path: drawn.append(panels))
    without = [explained.result('norms', None), explained.result('proxyclip', 50.0, cost=None)]
    explain_pages.write_tables(kept(tmp_path, explained.result('legrad', 80.0), *without))
    assert drawn == [{'scenes': {'legrad': (1.25, 80.0)}}]


@pytest.mark.slow
@pytest.mark.parametrize('panels', [{}, {'scenes': {'clip': (1.0, 20.0), 'gem': (1.9, 70.0)}}], ids=len)
def test_the_picture_is_drawn(panels, tmp_path):
    charts.draw_costs(panels, tmp_path / 'cost.png')
    assert (tmp_path / 'cost.png').read_bytes().startswith(b'\x89PNG')


DAMAGED = {
    'cut': '{"run": ',
    'another thing': '[1]',
    'deep': '[' * 100_000,
    'no explainer': '{"run": {}, "metrics": {}}',
    'no leading figure': '{"run": {"explainer": "clip", "data_set": "scenes"}, "metrics": {}, "protocol": {}}',
    'no number': '{"run": {"explainer": "clip", "data_set": "scenes"}, "metrics": {"AP": "x"}, "protocol": {}}',
}


@pytest.mark.parametrize('content', DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_result_is_named(content, tmp_path):
    path = tmp_path / 'clip.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'clip\.json (is not a readable|holds a)'):
        explain_pages.read_result(path)


def test_a_folder_without_results_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='holds no result of an explainer: run'):
        explain_pages.read_results(tmp_path)
