"""The key of a figure: settings and data, whatever the place of the data."""

import json
import shutil

import mini_datasets
from mmseg_clipsurgery import scenes
from mmseg_clipsurgery.cli import convert
from mmseg_clipsurgery.evaluation.configs import read_config, set_data_root
from mmseg_clipsurgery.leaderboard import cells as grid
from mmseg_clipsurgery.leaderboard.cells import Cell, run_config
from mmseg_clipsurgery.leaderboard.keys import Key, data_of, earlier_scenes, key_of, refuse_earlier_scenes
from mmseg_clipsurgery.leaderboard.suites import PlannedRun, run_suite
from mmseg_clipsurgery.resources import config_folder

import pytest
from mmengine.config import Config

pytestmark = pytest.mark.mmseg

CELL = Cell('clip', 'voc21', 'sclip')
DATA = {'images': 2, 'files': 'abc'}


def data_in(root) -> dict | None:
    return data_of(run_config(CELL, data_root=str(root)))


@pytest.fixture
def voc(tmp_path):
    return mini_datasets.make('voc21', tmp_path / 'voc')


def test_another_place_is_the_same_data(voc, tmp_path):
    moved = shutil.copytree(voc, tmp_path / 'moved')
    assert data_in(voc)['images'] == 2
    assert data_in(voc) == data_in(moved)
    assert key_of(run_config(CELL, data_root=str(voc))).settings == key_of(run_config(CELL)).settings


def fewer(voc):
    (voc / 'ImageSets/Segmentation/val.txt').write_text('2007_000033\n')


def other_masks(voc):
    mini_datasets.palette(
        voc / 'SegmentationClass/2007_000033.png', mini_datasets.labels((36, 48), *range(20))
    )


def other_name(voc):
    for kind, ending in (('JPEGImages', 'jpg'), ('SegmentationClass', 'png')):
        (voc / kind / f'2007_000033.{ending}').rename(voc / kind / f'2007_000001.{ending}')
    (voc / 'ImageSets/Segmentation/val.txt').write_text('2007_000001\n2007_000042\n')


def no_image(voc):
    (voc / 'JPEGImages/2007_000033.jpg').unlink()


@pytest.mark.parametrize('change', [fewer, other_masks, other_name, no_image])
def test_other_files_are_other_data(voc, change):
    before = data_in(voc)
    change(voc)
    assert data_in(voc) != before


@pytest.fixture
def points(tmp_path):
    root = mini_datasets.make('openimages_points', tmp_path / 'points')
    assert convert.main([*mini_datasets.CONVERT['openimages_points'], str(root)]) == 0
    return root


def points_in(root) -> Config:
    cfg = read_config(config_folder() / 'explain/clipsurgery_openimages_points.py')
    set_data_root(cfg, root)
    return cfg


def test_another_place_is_the_same_data_where_words_and_truth_lie_there(points, tmp_path):
    moved = shutil.copytree(points, tmp_path / 'moved')
    assert key_of(points_in(points)) == key_of(points_in(moved))
    assert data_of(points_in(points))['images'] == 2


@pytest.mark.parametrize(
    ('name', 'part'), [('points_validation.jsonl', 'data'), ('points_validation_classes.json', 'settings')]
)
def test_another_truth_is_other_data_and_other_words_other_settings(points, name, part):
    before, path = key_of(points_in(points)), points / name
    path.write_text(path.read_text().replace('0.5', '0.25').replace('Tree', 'Bush'))
    changed = {
        field
        for field in ('settings', 'data')
        if getattr(key_of(points_in(points)), field) != getattr(before, field)
    }
    assert changed == {part}


def test_data_that_is_not_there_is_none(tmp_path):
    assert data_in(tmp_path / 'missing') is None
    assert data_of(run_config(Cell('clip', 'scenes', 'scenes'))) == {'scenes': scenes.VERSION}  # drawn


@pytest.mark.parametrize(
    ('stated', 'key', 'agrees'),
    [
        (dict(settings='s', data=DATA), Key('s', DATA), True),
        (dict(settings='s', data=DATA), Key('t', DATA), False),
        (dict(settings='s', data=DATA), Key('s', {**DATA, 'images': 1}), False),
        (dict(settings='s'), Key('s', DATA), False),
        (dict(settings='s', data=DATA), Key('s'), True),
    ],
    ids=['same', 'other settings', 'other data', 'data unknown', 'data not here'],
)
def test_a_result_is_done_where_settings_and_data_agree(tmp_path, stated, key, agrees):
    CELL.path(tmp_path).parent.mkdir()
    CELL.path(tmp_path).write_text(json.dumps({'cell': stated}))
    assert grid.is_done(CELL, tmp_path, key) is agrees


def test_what_is_kept_is_done(tmp_path):
    grid.keep(CELL, tmp_path, Key('s', DATA), {'metrics': {}, 'protocol': {}})
    assert grid.is_done(CELL, tmp_path, Key('s', DATA))
    assert not grid.is_done(CELL, tmp_path, Key('s', {**DATA, 'files': 'abd'}))


@pytest.mark.parametrize(
    ('stated', 'version'),
    [
        pytest.param({'data_set': 'scenes', 'settings': 's'}, 2, id='before versions were stated'),
        pytest.param({'data_set': 'scenes_heldout', 'data': {'scenes': 2}}, 2, id='another version'),
        pytest.param({'config': 'scenes'}, 2, id='of faithfulness'),
        pytest.param({'data_set': 'scenes', 'data': {'scenes': scenes.VERSION}}, None, id="today's"),
        pytest.param({'data_set': 'scenes', 'data': DATA}, None, id='a folder of files'),
        pytest.param({'data_set': 'voc21', 'settings': 's'}, None, id='other data'),
    ],
)
def test_results_of_earlier_scenes_are_known(stated, version):
    assert earlier_scenes(stated) == version
    if version is None:
        refuse_earlier_scenes('a.json', stated)
    else:
        with pytest.raises(
            ValueError, match=f'a.json is of scenes of version {version}, not {scenes.VERSION}: remove'
        ):
            refuse_earlier_scenes('a.json', stated)


@pytest.mark.parametrize('data', ['abc', ['scenes'], 3], ids=repr)
def test_a_result_whose_data_names_nothing_is_named(data):
    with pytest.raises(ValueError, match=r'a\.json: data must hold names and values, got .*: remove it'):
        refuse_earlier_scenes('a.json', {'data_set': 'scenes', 'data': data})


def test_tables_name_a_result_of_earlier_scenes(tmp_path):
    cell = Cell('clip', 'scenes', 'scenes')
    results = {'metrics': {'mIoU': 1.0}, 'protocol': {}}
    grid.keep(cell, tmp_path, key_of(run_config(cell)), results)
    assert len(grid.read_cells(tmp_path)) == 1
    grid.keep(cell, tmp_path, Key('s'), results)
    with pytest.raises(ValueError, match=r'scenes.clip\.json is of scenes of version 2'):
        grid.read_cells(tmp_path)


def test_a_result_of_earlier_scenes_is_named_before_anything_is_run(tmp_path, capsys):
    cell, other = (Cell(method, 'scenes', 'scenes') for method in ('clip', 'sclip'))
    grid.keep(cell, tmp_path, Key('s'), {'metrics': {'mIoU': 1.0}, 'protocol': {}})
    grid.check_kept(tmp_path, [cell])  # is run again
    assert 'clip.json is of scenes of version 2' in capsys.readouterr().out
    with pytest.raises(ValueError, match=r'clip\.json is of scenes of version 2'):
        run_suite([PlannedRun(other, None, Key('s'))], tmp_path, tmp_path)


@pytest.mark.parametrize(
    'content', ['{}', 'no JSON', '[' * 100_000, '{"cell": []}'], ids=lambda text: text[:9]
)
def test_a_damaged_result_is_run_again_if_it_is_ours_and_named_before_a_run_if_not(content, tmp_path, capsys):
    CELL.path(tmp_path).parent.mkdir()
    CELL.path(tmp_path).write_text(content)
    assert not grid.is_done(CELL, tmp_path, Key('s'))
    grid.check_kept(tmp_path, [CELL])
    assert f'{CELL.path(tmp_path)} is no result of a cell' in capsys.readouterr().out
    with pytest.raises(ValueError, match=r'is no result of a cell .*: remove it, and it is run again'):
        grid.check_kept(tmp_path, [])
