"""The leaderboard: cells, resuming, failures, tables beside published figures, README blocks, one real run."""

import csv
import json
import re
from pathlib import Path

import forked
import mini_datasets
import own_files
import tiny
from mmseg_clipsurgery.cli import leaderboard
from mmseg_clipsurgery.leaderboard import cells as grid
from mmseg_clipsurgery.leaderboard import charts, pages, suites, tables
from mmseg_clipsurgery.leaderboard import processes as own_processes
from mmseg_clipsurgery.leaderboard.cells import Cell

import pytest
from PIL import Image

pytestmark = pytest.mark.mmseg

ROOT = Path(__file__).resolve().parents[2]
GRID = ['--methods', 'clip', 'clip_surgery', 'naclip', '--data-sets', 'voc21', 'cityscapes']
README = (
    'Before\n<!-- table: scenes -->\nold\n<!-- end table -->\n\n'
    '<!-- table: published -->\n<!-- end table -->\nAfter\n'
)


class Runs:
    """In place of real runs: results that depend on the cell alone, lists of those asked for, and accidents."""

    def __init__(self):
        self.asked: list[str] = []
        self.passes: list[list[str]] = []
        self.checked: list[str] = []
        self.drawn: list[tuple[dict, str]] = []
        self.broken: dict[str, BaseException] = {}

    def __call__(self, cfgs, folder, processes, preflight, imports):
        names = [f'{name} on {folder.name}' for name in cfgs]
        self.asked += names
        self.passes.append(names)
        self.checked += names[:1] if preflight else []
        for name in names:
            if name in self.broken:
                raise self.broken[name]
        return {name: self.result(f'{name} on {folder.name}', cfg) for name, cfg in cfgs.items()}

    def result(self, name, cfg) -> dict:
        figure = sum(map(ord, name)) % 4000 / 50
        return {
            'metrics': {'mIoU': figure, 'mIoU_objects': figure / 2, 'mIoU_grounds': figure / 4},
            'protocol': {
                'surgery': cfg.model.backbone.surgery.name,
                'data root': '/somewhere',
                'checkpoint': None,
            },
        }


@pytest.fixture
def runs(monkeypatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(suites, 'run_together', made)
    monkeypatch.setattr(charts, 'draw', lambda panels, path: made.drawn.append((panels, path.name)))
    return made


@pytest.fixture
def board(tmp_path, runs):
    """Call the leaderboard with arguments; results go to one folder."""

    def call(*arguments: str, out: str = 'results') -> int:
        folders = ['--out', str(tmp_path / out), '--work-dir', str(tmp_path / 'work')]
        return leaderboard.main([*map(str, arguments), *folders])

    return call


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix in ('.md', '.csv')}


def test_cells_that_see_the_same_share_a_pass(board, runs, tmp_path):
    assert board(*GRID) == 0
    assert runs.passes == [
        ['clip on voc21', 'clip_surgery on voc21'],
        ['naclip on voc21'],  # whole images
        [
            'clip on cityscapes',
            'clip_surgery on cityscapes',
            'naclip on cityscapes',
        ],  # PAMR comes after windows
    ]
    assert runs.checked == ['clip on voc21', 'clip on cityscapes']  # files are looked at once
    result = json.loads((tmp_path / 'results/voc21/naclip.json').read_text())
    cell = {key: result['cell'][key] for key in ('method', 'data_set', 'protocol', 'backbone')}
    assert cell == dict(method='naclip', data_set='voc21', protocol='naclip', backbone='')
    assert {'versions', 'commit', 'date', 'metrics'} <= set(result)
    assert result['protocol'] == {'surgery': 'naclip'}  # no path of this machine
    panels, name = runs.drawn[-1]
    assert (name, panels) == ('leaderboard.png', tables.panels(grid.read_cells(tmp_path / 'results')))


@pytest.mark.slow
def test_one_by_one_is_a_run_for_each_cell(board, runs, tmp_path):
    assert board(*GRID, '--one-by-one') == 0
    methods = ('clip', 'clip_surgery', 'naclip')
    assert runs.passes == [[f'{method} on {name}'] for name in ('voc21', 'cityscapes') for method in methods]
    assert board(*GRID, out='shared') == 0
    assert texts(tmp_path / 'results') == texts(tmp_path / 'shared')


def test_only_what_is_missing_of_a_group_is_run(board, runs):
    assert board('--methods', 'clip', 'gem', '--data-sets', 'cityscapes') == 0
    assert board('--methods', 'clip', 'sclip', 'gem', 'maskclip', '--data-sets', 'cityscapes') == 0
    assert runs.passes[1:] == [['sclip on cityscapes', 'maskclip on cityscapes']]


@pytest.mark.slow
@pytest.mark.parametrize(('stop', 'lost'), [(0, 0), (2, 2), (5, 3)], ids=['first', 'second', 'last pass'])
def test_interrupted_anywhere_and_started_again_gives_the_same_tables(board, runs, tmp_path, stop, lost):
    assert board(*GRID, out='whole') == 0
    all_cells, runs.asked = runs.asked, []
    runs.broken = {all_cells[stop]: KeyboardInterrupt()}
    assert board(*GRID) == 130
    runs.broken, runs.asked = {}, []
    assert board(*GRID) == 0
    assert runs.asked == all_cells[lost:]
    assert texts(tmp_path / 'results') == texts(tmp_path / 'whole')


@pytest.mark.slow
def test_a_half_written_result_is_run_again(board, runs, tmp_path):
    assert board(*GRID) == 0
    before, runs.asked = texts(tmp_path / 'results'), []
    (tmp_path / 'results/voc21/clip.json').write_text('{"cell": {')
    assert board(*GRID) == 0
    assert runs.asked == ['clip on voc21']
    assert texts(tmp_path / 'results') == before


@pytest.mark.slow
def test_a_failing_cell_is_named_and_the_others_go_on(board, runs, tmp_path, capsys):
    runs.broken = {'clip_surgery on voc21': ValueError('no such\nfolder'), 'naclip on voc21': MemoryError()}
    assert board(*GRID) == 1
    assert runs.passes == [
        ['clip on voc21', 'clip_surgery on voc21'],
        ['clip on voc21'],
        ['clip_surgery on voc21'],
        ['naclip on voc21'],
        ['clip on cityscapes', 'clip_surgery on cityscapes', 'naclip on cityscapes'],
    ]
    errors = capsys.readouterr().err
    assert 'clip, clip_surgery: no such folder; once more in halves\n' in errors
    assert 'failed: clip_surgery on voc21: no such folder\n' in errors
    assert 'failed: naclip on voc21: MemoryError\n' in errors
    assert not (tmp_path / 'results/voc21/naclip.json').exists()
    runs.broken, runs.asked = {}, []
    assert board(*GRID) == 0
    assert runs.asked == ['clip_surgery on voc21', 'naclip on voc21']


@pytest.mark.slow
def test_other_settings_are_other_results(board, runs):
    assert board(*GRID) == 0
    runs.asked = []
    assert board(*GRID, '--cfg-options', 'model.test_cfg.logit_scale=7') == 0
    assert len(runs.asked) == 6
    assert (
        board(*GRID, '--data-root', 'voc21=/elsewhere', '--cfg-options', 'model.test_cfg.logit_scale=7') == 0
    )
    assert len(runs.asked) == 6  # the place of the data decides no figure
    assert board(*GRID, '--again') == 0
    assert len(runs.asked) == 12


@pytest.mark.slow
def test_protocols_and_backbones_are_cells_of_their_own(board, runs, tmp_path):
    methods = ['--methods', 'naclip', 'naclip:naclip_plain', '--data-sets', 'voc21']
    assert board(*methods, '--backbones', 'ViT-L-14:openai', 'RN50:openai') == 0
    assert runs.asked == [
        f'{name}_{backbone} on voc21'
        for backbone in ('ViT-L-14-openai', 'RN50-openai')
        for name in ('naclip', 'naclip_naclip_plain')
    ]
    table = (tmp_path / 'results/leaderboard.md').read_text()
    assert '| method | figures of | backbone | with |' in table
    assert re.search(r'\| NACLIP \| this project \| ViT-L-14:openai \| PAMR \| \d', table)
    assert re.search(r'\| NACLIP \| this project \(naclip_plain\) \| RN50:openai \| \| \d', table)


def test_a_backbone_is_set_in_both_towers():
    cfg = grid.run_config(Cell('gem', 'voc21', 'sclip', 'RN50x16:openai'))
    assert (cfg.model.backbone.type, cfg.model.backbone.arch.name) == ('CLIPSurgeryResNet', 'RN50x16')
    assert cfg.model.text_encoder.arch.name == 'RN50x16'
    assert cfg.model.data_preprocessor is None


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--methods', 'clips'], "unknown method 'clips'"),
        (['--methods', 'clip:mine'], "unknown protocol 'mine'"),
        (['--data-sets', 'voc'], "unknown data set 'voc'"),
        (['--backbones', 'ViT-L-14'], "got the backbone 'ViT-L-14'; write ARCH:PRETRAINED"),
        (['--data-root', 'voc21'], "got --data-root 'voc21'; write NAME=DIR"),
        (['--data-root', 'voc21='], "got --data-root 'voc21='; write NAME=DIR"),
        (['--data-root', 'voc21=~nobody-there/x'], 'the home of a user who is not known'),
        (['--processes', '-1'], '--processes must be a whole number >= 0'),
        (['--processes', '1000000'], '--processes must be a whole number from 0 to 256'),
        (['--data-root', 'voc=x'], "unknown data set 'voc'"),
    ],
)
def test_mistakes_on_the_command_line_come_before_any_run(board, runs, capsys, arguments, message):
    assert board(*arguments) == 1
    assert message in capsys.readouterr().err
    assert runs.asked == []


@pytest.mark.slow
def test_tables_stand_beside_the_published_figures(board, tmp_path):
    assert board(*GRID) == 0
    lines = (tmp_path / 'results/leaderboard.md').read_text().splitlines()
    assert lines[0] == (
        '| method | figures of | backbone | with | VOC21 | Context60 | COCO-Object | VOC20 | Cityscapes | Context59 |'
        ' ADE20K | COCO-Stuff | ADE20K-847 | Context459 |'
    )
    assert lines[1].count('---:') == 10
    end = lines.index('')
    assert lines[end + 1].startswith('Published by: (1) baseline row of later papers, SCLIP protocol; (2)')
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[:end]]
    assert {len(line) for line in cells} == {14}
    clip = [line for line in cells if line[0] == 'CLIP']
    assert clip[0][4:] == ['18.6', '7.8', '6.5', '49.1', '6.7', '11.2', '3.2', '5.7', '', '']
    assert clip[1][1] == 'this project'
    assert [name for name, cell in zip(cells[0], clip[1], strict=True) if cell][3:] == ['VOC21', 'Cityscapes']
    (corrclip,) = [line for line in cells if line[0] == 'CorrCLIPv2']
    assert (corrclip[2], corrclip[-2:]) == ('MetaCLIP ViT-B/16', ['11.7', '16.8'])
    assert [line[1] for line in cells if line[0] == 'SCLIP'][
        -1
    ] == 'this project'  # empty until somebody runs it
    rows = list(csv.DictReader((tmp_path / 'results/figures.csv').open()))
    ours = {(row['method'], row['data_set']): float(row['mIoU']) for row in rows if row['origin'] == 'ours'}
    assert ours[('clip', 'voc21')] == float(clip[1][4].split(' ')[0])
    assert len(ours) == 6
    assert sum(row['origin'] == 'published' for row in rows) == sum(
        len(row.mIoU) for row in tables.published_rows()
    )


@pytest.mark.slow
def test_panels_show_ours_beside_the_same_protocols_published_figure(board, tmp_path):
    assert board(*GRID) == 0
    panels = tables.panels(grid.read_cells(tmp_path / 'results'))
    ours, published = panels['VOC21']['NACLIP + PAMR']
    assert ours is not None
    assert published == 64.07  # with PAMR, as ours
    assert panels['VOC21']['SCLIP'][0] is None  # published alone
    assert list(panels) == ['VOC21', 'Cityscapes']  # what was measured


def result_of(data_set: str, protocol: str, backbone: str = '') -> dict:
    """A result of raw CLIP, 50 everywhere."""
    cell = {'method': 'clip', 'data_set': data_set, 'protocol': protocol, 'backbone': backbone}
    own = {'own_data_set': {'title': 'My scenes'}} if data_set == 'my_data' else {}
    return {'cell': {**cell, **own}, 'metrics': {'mIoU': 50.0}, 'protocol': {}, 'images': 1}


def test_panels_show_every_figure_that_was_measured(monkeypatch):
    monkeypatch.setattr(tables, 'figure_note', lambda result: None)
    usual = tables.table()['methods']['clip']['protocol']
    cells = [
        result_of('my_data', usual, 'scenes:scenes'),
        result_of('my_data', 'gem', 'scenes:scenes'),
        result_of('voc21', usual, 'ViT-L-14:openai'),
    ]
    panels = tables.panels(cells)
    assert [*panels] == ['VOC21', 'My scenes']
    assert panels['My scenes'] == {
        'CLIP (scenes:scenes)': (50.0, None),
        "CLIP (GEM's own protocol, scenes:scenes)": (50.0, None),
    }
    assert panels['VOC21']['CLIP (ViT-L-14:openai)'] == (50.0, None)
    assert panels['VOC21']['CLIP'] == (None, 18.6)
    assert tables.panels([]) == {}


def test_bars_have_a_place_each():
    two = charts.bars(3, (40.0, 50.0))
    assert [(bar[1], bar[3]) for bar in two] == [(40.0, charts.OURS), (50.0, charts.PUBLISHED)]
    assert two[0][0] + two[0][2] / 2 <= two[1][0] - two[1][2] / 2 + 1e-9
    assert charts.bars(0, (None, 50.0))[0][0] == pytest.approx(0)


@pytest.mark.slow
def test_picture(tmp_path):
    panels = {
        'VOC21': {'CLIP': (20.0, 18.6), 'GEM': (None, 56.9)},
        **{f'set {i}': {'CLIP': (i, None)} for i in range(5)},
    }
    charts.draw(panels, tmp_path / 'charts.png')
    with Image.open(tmp_path / 'charts.png') as picture:
        assert min(picture.size) > 500
        shown = {colour for _, colour in picture.convert('RGB').getcolors(2**24)}
    assert {(0x1F, 0x6F, 0xB4), (0xC9, 0xCD, 0xD2)} <= shown
    with pytest.raises(ValueError, match='no figure to draw'):
        charts.draw({}, tmp_path / 'nothing.png')


def test_scenes_table_is_made_of_both_splits(board, tmp_path):
    assert board('--methods', 'clip', 'gem', '--data-sets', 'scenes', 'scenes_heldout') == 0
    lines = (tmp_path / 'results/scenes.md').read_text().splitlines()
    assert lines[0] == '| method | mIoU | objects | grounds | held-out pairs: mIoU | objects | grounds |'
    assert [line.split(' | ')[0] for line in lines[2:]] == ['| CLIP', '| GEM']
    assert all(line.count('|') == 8 for line in lines)
    # Figures of the embedded model are not mixed with those of real data.
    assert 'scenes' not in (tmp_path / 'results/leaderboard.md').read_text()


def test_blocks_of_a_readme_follow_the_results(board, tmp_path, capsys):
    readme = tmp_path / 'README.md'
    readme.write_text(README)
    assert board('--methods', 'clip', '--data-sets', 'scenes', 'scenes_heldout', '--readme', readme) == 0
    text = readme.read_text()
    assert 'old' not in text
    assert text.startswith('Before\n<!-- table: scenes -->\n| method | mIoU |')
    assert text.endswith('<!-- end table -->\nAfter\n')
    assert '| CLIP | published (1) | ViT-B/16 | | 18.6 |' in text
    assert board('--check', '--readme', readme) == 0
    assert board('--tables', '--readme', readme) == 0
    assert readme.read_text() == text
    readme.write_text(text.replace('| 56.9 ', '| 57.9 '))
    capsys.readouterr()
    assert board('--check', '--readme', readme) == 1
    assert re.search(
        r'README\.md is not what the results .* --tables --out .* --readme', capsys.readouterr().err
    )


def test_check_names_a_result_that_differs_from_its_table(board, tmp_path, capsys):
    assert board('--methods', 'clip', '--data-sets', 'scenes') == 0
    path = tmp_path / 'results/scenes/clip.json'
    result = json.loads(path.read_text())
    result['metrics']['mIoU'] = 99.9
    path.write_text(json.dumps(result))
    assert board('--check') == 1
    assert 'is not what the results' in capsys.readouterr().err
    result['cell']['settings'] = 'of last year'
    path.write_text(json.dumps(result))
    assert board('--check') == 1
    assert 'the result of clip on scenes is of other settings or weights' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('nothing', 'the text has no table: write <!-- table: NAME -->'),
        ('<!-- table: mine -->\n<!-- end table -->\n', "the text has the table 'mine'"),
    ],
)
def test_a_text_without_a_known_block(text, message):
    with pytest.raises(ValueError, match=message):
        tables.with_blocks(text, {'scenes': '| |\n'})


@pytest.mark.slow
@pytest.mark.parametrize(
    'change',
    [
        lambda result: {'mIoU': 50},
        lambda result: [result],
        lambda result: {**result, 'metrics': 'none'},
        lambda result: {**result, 'protocol': 3},
        lambda result: {**result, 'metrics': {'mIoU': float('nan')}},
        lambda result: {**result, 'metrics': {'mIoU': 50.0, 'aAcc': '50'}},
        lambda result: {**result, 'cell': {**result['cell'], 'data_set': []}},
        lambda result: {**result, 'cell': {'method': 'clip', 'data_set': 'voc21'}},
    ],
    ids=['no cell', 'list', 'text', 'number', 'nan', 'text for a number', 'list for a name', 'no protocol'],
)
def test_a_file_that_is_no_result_is_named(board, tmp_path, capsys, change):
    assert board(*GRID) == 0
    result = json.loads((tmp_path / 'results/voc21/clip.json').read_text())
    (tmp_path / 'results/voc21/mine.json').write_text(json.dumps(change(result)))
    assert board('--tables') == 1
    assert re.search(r'mine\.json is no result of a cell .*: remove it', capsys.readouterr().err)


@pytest.fixture
def tiny_clip(tmp_path) -> list[str]:
    """Options that put a tiny CLIP in place of the embedded one."""
    arch = tiny.changed(
        tiny.SMALL,
        vision_cfg={'image_size': 32, 'patch_size': 16, 'layers': 6},
        text_cfg={'vocab_size': 49408},
    )
    folder = tmp_path / 'clip'
    folder.mkdir()
    (folder / 'open_clip_config.json').write_text(json.dumps({'model_cfg': arch, 'preprocess_cfg': {}}))
    weights = tiny.weights_file(arch)
    towers = ('backbone', 'text_encoder')
    options = [
        f'model.{tower}.{key}={value}'
        for tower in towers
        for key, value in (('arch', folder), ('pretrained', weights))
    ]
    return [*options, 'model.data_preprocessor=None', 'test_dataloader.num_workers=0']


@pytest.mark.slow
@pytest.mark.parametrize('processes', [0, 2])
def test_real_runs(tmp_path, tiny_clip, monkeypatch, processes):
    monkeypatch.setattr(own_processes, 'run_to_end', forked.launched)
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    root = mini_datasets.make('scenes', tmp_path / 'data')
    arguments = ['--data-sets', 'scenes', '--data-root', f'scenes={root}', '--out', str(tmp_path / 'results')]
    arguments += [
        '--work-dir',
        str(tmp_path / 'work'),
        '--methods',
        'clip',
        'clip_surgery',
    ]
    arguments += ['--processes', str(processes), '--cfg-options', *tiny_clip]
    assert leaderboard.main(arguments) == 0
    result = json.loads((tmp_path / 'results/scenes/clip.json').read_text())
    assert result['images'] == result['cell']['data']['images'] == 2
    assert result['one_pass'] == ['clip', 'clip_surgery']
    assert '(2 of 200 images)' in (tmp_path / 'results/scenes.md').read_text()
    assert result['protocol']['processes'] == max(1, processes)
    assert set(result['metrics']) >= {'mIoU', 'mIoU_objects', 'mIoU_grounds'}
    # Words were embedded once for all methods.
    assert len(list((tmp_path / 'cache/text').iterdir())) == 1


BROKEN = """
from mmseg_clipsurgery import SURGERIES, Surgery
from mmseg_clipsurgery.affinities import AFFINITIES, Affinity


def broken(p, rows):
    raise ValueError('my affinity has a mistake')


AFFINITIES['broken'] = Affinity('kv', weights=broken)
SURGERIES['broken'] = Surgery(1, 'broken')
"""


@pytest.mark.slow
def test_a_surgery_that_raises_does_not_take_its_group_along(tmp_path, tiny_clip, monkeypatch, capsys):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    root = mini_datasets.make('scenes', tmp_path / 'data')
    method = own_files.write(tmp_path / 'my_broken.py', BROKEN)
    arguments = ['--data-sets', 'scenes', '--data-root', f'scenes={root}', '--out', str(tmp_path / 'results')]
    arguments += ['--methods', 'clip', 'sclip', 'broken', '--import', str(method)]
    arguments += ['--work-dir', str(tmp_path / 'work'), '--cfg-options', *tiny_clip]
    with own_files.forgotten():
        assert leaderboard.main(arguments) == 1
    assert capsys.readouterr().err.endswith('failed: broken on scenes: my affinity has a mistake\n')
    assert sorted(path.stem for path in (tmp_path / 'results/scenes').iterdir()) == ['clip', 'sclip']


@pytest.mark.slow
def test_failed_processes_say_why(tmp_path, tiny_clip, monkeypatch, capsys):
    monkeypatch.setattr(own_processes, 'run_to_end', forked.launched)
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    arguments = [
        '--data-sets',
        'scenes',
        '--data-root',
        f'scenes={tmp_path / "none"}',
        '--out',
        str(tmp_path / 'out'),
    ]
    arguments += [
        '--work-dir',
        str(tmp_path / 'work'),
        '--methods',
        'clip',
        '--processes',
        '1',
        '--cfg-options',
        *tiny_clip,
    ]
    assert leaderboard.main(arguments) == 1
    assert re.search(
        r'failed: clip on scenes: the data root .*none .*does not exist', capsys.readouterr().err
    )


def test_committed_results_and_readme_agree():
    if not (ROOT / 'results').is_dir():
        pytest.skip('no results are committed yet')
    pages.check(ROOT / 'results', ROOT / 'README.md')
