"""A method and a data set of the user's own in the leaderboard: cells, keys, runs, tables, mistakes."""

import csv
import json
import re

import forked
import mini_datasets
import own_files
import tiny
from mmseg_clipsurgery.cli import leaderboard
from mmseg_clipsurgery.environment.extensions import import_file
from mmseg_clipsurgery.leaderboard import cells as grid
from mmseg_clipsurgery.leaderboard import charts, passes, suites, tables
from mmseg_clipsurgery.leaderboard import processes as own_processes
from mmseg_clipsurgery.leaderboard.cells import Cell, run_config
from mmseg_clipsurgery.leaderboard.keys import settings_key
from mmseg_clipsurgery.leaderboard.own_data_sets import read_data_sets
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

import pytest

pytestmark = pytest.mark.mmseg

ARCH = tiny.changed(
    tiny.SMALL,
    vision_cfg={'image_size': 32, 'patch_size': 16, 'layers': 6},
    text_cfg={'vocab_size': 49408},
)
DATA = """
words = ['ground', ['thing', 'object'], 'sky']
title = 'My data'
test_dataloader = dict(
    num_workers=0,
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('ground', 'thing', 'sky')),
        data_root={root!r},
        img_suffix='.png',
        data_prefix=dict(img_path='images', seg_map_path='masks'),
    ),
)
"""
ORDER = ['clip', 'naclip', 'mine', 'zeta']


@pytest.fixture(autouse=True)
def forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    with own_files.forgotten():
        yield


@pytest.fixture
def method(tmp_path):
    return own_files.write(tmp_path / 'my_method.py', own_files.METHOD)


@pytest.fixture
def data(tmp_path):
    """The config of a small data set of two images."""
    root = tmp_path / 'data'
    for index, size in enumerate(mini_datasets.SIZES):
        mini_datasets.photo(root / f'images/{index}.png', size)
        mini_datasets.mask(root / f'masks/{index}.png', mini_datasets.labels(size, 0, 1, 2, 255))
    return own_files.write(tmp_path / 'my_data.py', DATA.format(root=str(root)))


def changed(path, old, new):
    """The path of a config in which a part is another."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def own_config(data, method='clip_surgery', protocol='sclip', **options):
    (name,) = read_data_sets([str(data)])
    return run_config(Cell(method, name, protocol), options)


def test_a_method_has_the_leaderboards_protocol_unless_another_is_named(method):
    import_file(method)
    usual, other = grid.cells(['mine', 'mine:naclip_plain'], ['voc21'])
    assert (usual.protocol, usual.name) == ('sclip', 'mine')
    assert (other.protocol, other.name) == ('naclip_plain', 'mine_naclip_plain')
    cfg = run_config(usual)
    assert Surgery.read(cfg.model.backbone.surgery) == SURGERIES['mine']
    assert cfg.model.test_cfg == run_config(Cell('clip', 'voc21', 'sclip')).model.test_cfg


@pytest.mark.parametrize('edit', ['Surgery(3, ', '# as before\n'], ids=['fields', 'source'])
def test_an_edited_method_is_run_again(method, edit):
    def key() -> str:
        with own_files.forgotten():
            import_file(method)
            return settings_key(run_config(Cell('mine', 'voc21', 'sclip')))

    before, shipped = key(), settings_key(run_config(Cell('clip', 'voc21', 'sclip')))
    assert before == key()
    text = method.read_text()
    method.write_text(text.replace('Surgery(2, ', edit) if '(' in edit else text + edit)
    assert key() != before
    assert settings_key(run_config(Cell('clip', 'voc21', 'sclip'))) == shipped


def test_an_edited_affinity_is_run_again(tmp_path):
    affinity = own_files.write(tmp_path / 'my_affinity.py', own_files.AFFINITY)
    cell = Cell('clip', 'voc21', 'sclip')
    by_name = {'model.backbone.surgery': 'sharp'}
    by_fields = {'model.backbone.surgery': {'_delete_': True, 'last_blocks': 2, 'affinity': 'sharp kk'}}

    def keys() -> list[str]:
        with own_files.forgotten():
            import_file(affinity)
            return [settings_key(run_config(cell, options)) for options in (by_name, by_fields)]

    before = keys()
    assert before == keys()
    affinity.write_text(affinity.read_text().replace('3.0', '2.0'))
    assert all(new != old for new, old in zip(keys(), before, strict=True))


@pytest.mark.parametrize(
    ('arch', 'tower'),
    [
        ('ViT-L-14', 'CLIPSurgeryViT'),
        ('RN50', 'CLIPSurgeryResNet'),
        ('folder', 'CLIPSurgeryResNet'),
        ('EVA02-B-16', 'CLIPSurgeryTimmViT'),
        ('ViT-B-16-SigLIP2', 'CLIPSurgerySigLIP'),
        ('PE-Core-L-14-336', 'CLIPSurgeryPE'),
        ('ViT-L-14-CLIPA', 'CLIPSurgeryAverageViT'),
    ],
)
def test_a_backbones_class_is_that_of_its_family(tmp_path, arch, tower):
    if arch == 'folder':
        config = json.dumps({'model_cfg': tiny.RESNET})
        arch = str(own_files.write(tmp_path / 'ViT' / 'open_clip_config.json', config).parent)
    model = run_config(Cell('clip', 'voc21', 'sclip', f'{arch}:openai')).model
    assert (model.backbone.type, model.backbone.arch, model.text_encoder.arch) == (
        *(tower, dict(name=arch), dict(name=arch)),
    )


@pytest.mark.parametrize(
    ('backbone', 'message'),
    [('ViT-17:openai', "unknown arch 'ViT-17'"), ('convnext_base:laion', 'convnext_base .* timm')],
)
def test_a_backbone_that_cannot_be_used(tmp_path, capsys, backbone, message):
    arguments = ['--backbones', backbone, '--data-sets', 'voc21', '--out', str(tmp_path / 'out')]
    assert leaderboard.main(arguments) == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ('options', 'same'),
    [
        ({'model.backbone.surgery': 'clip_surgery'}, True),
        ({'model.backbone.surgery': {'name': 'clip_surgery', 'last_blocks': 6}}, False),
        ({'model.backbone.surgery.last_blocks': 3}, False),
        ({'test_dataloader.dataset.data_root': 'elsewhere'}, True),
        ({'model.text_encoder.vocabulary': ['background', *'abcdefghijklmnopqrst']}, False),
    ],
    ids=['name', 'name and field', 'field', 'place', 'words'],
)
def test_key_is_of_what_decides_figures(options, same):
    cell = Cell('clip_surgery', 'voc21', 'sclip')
    assert (settings_key(run_config(cell, options)) == settings_key(run_config(cell))) is same


def test_key_knows_the_words_in_a_file_and_their_order(data, tmp_path):
    words = own_files.write(tmp_path / 'words.txt', 'ground\nthing\nsky\n')
    changed(data, "['ground', ['thing', 'object'], 'sky']", repr(str(words)))
    keys = set()
    for text in ('ground\nthing\nsky\n', 'ground\nsky\nthing\n', 'ground\nthing, object\nsky\n'):
        words.write_text(text)
        keys.add(settings_key(own_config(data)))
    assert len(keys) == 3


def test_a_data_set_brings_its_part_and_the_protocol_the_rest(data):
    cfg = own_config(data, 'naclip', 'naclip')
    voc = run_config(Cell('naclip', 'voc20', 'naclip'))
    assert cfg.model.text_encoder.vocabulary == ['ground', ['thing', 'object'], 'sky']
    assert cfg.model.backbone == voc.model.backbone
    assert cfg.test_pipeline == voc.test_pipeline == cfg.test_dataloader.dataset.pipeline
    assert cfg.test_evaluator == dict(type='SegmentationMetric', iou_metrics=['mIoU'])
    assert (cfg.test_dataloader.num_workers, cfg.test_dataloader.batch_size) == (0, 1)
    assert (cfg.default_scope, cfg.model.test_cfg.pamr.iterations) == ('mmseg', 10)


def test_a_data_sets_own_settings_win(data):
    data.write_text(
        data.read_text()
        + "protocol = 'clearclip'\n"
        + "test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]\n"
        + "test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])\n"
        + 'model = dict(test_cfg=dict(crop_size=(64, 64), logit_scale=7))\n'
    )
    (name,) = read_data_sets([str(data)])
    (cell,) = grid.cells(['clip'], [name])
    assert cell.protocol == 'clearclip'
    cfg = run_config(cell)
    assert [step.type for step in cfg.test_dataloader.dataset.pipeline] == [
        'LoadImageFromFile',
        'PackSegInputs',
    ]
    assert cfg.test_evaluator.type == 'IoUMetric'
    assert (cfg.model.test_cfg.crop_size, cfg.model.test_cfg.logit_scale) == ((64, 64), 7)
    assert cfg.model.test_cfg.stride == (224, 224)  # the protocol's


def test_many_classes_are_read_in_16_bits(data):
    names = [f'thing {index}' for index in range(300)]
    changed(data, "['ground', ['thing', 'object'], 'sky']", repr(names))
    changed(data, "('ground', 'thing', 'sky')", repr(names))
    cfg = own_config(data)
    assert 'LoadDeepAnnotations' in [step.type for step in cfg.test_pipeline]
    assert cfg.test_evaluator.ignore_index == 65535


@pytest.mark.parametrize(
    ('name', 'old', 'new', 'message'),
    [
        ('other.py', '', '', r'the data set \S+other\.py does not exist: give the config file'),
        ('voc21.py', '', '', r'voc21\.py has the name of a shipped one, voc21: rename'),
        ('my_data.py', 'words', 'x = 1 / 0; words', r'my_data\.py raises while it is read: ZeroDivisionError'),
        ('my_data.py', 'test_dataloader', 'loader', r'my_data\.py has no test_dataloader with a dataset'),
        ('my_data.py', 'words', 'texts', r'my_data\.py has no words: add words = '),
        ('my_data.py', "['ground', ['thing', 'object'], 'sky']", "'no_words'",
         r"the words of \S+my_data\.py: got the unknown vocabulary name 'no_words'"),
        ('my_data.py', "'ground', ['thing'", "['thing'",
         r'my_data\.py has words for 2 classes and its data set has 3: give a word for each'),
        ('my_data.py', "'BaseSegDataset'", "'NoDataset'", r"the unknown type 'NoDataset': import the file that"),
        ('my_data.py', 'title', "protocol = 'mine'; title", r"my_data\.py: unknown protocol 'mine'; take one of"),
    ],
    ids=['missing', 'taken', 'raises', 'no data', 'no words', 'bad words', 'other count', 'unknown type', 'protocol'],
)  # fmt: skip
def test_a_data_set_that_cannot_be_used(data, tmp_path, capsys, name, old, new, message):
    if name == 'voc21.py':
        data = data.rename(tmp_path / name)
    elif name == 'my_data.py':
        changed(data, old, new) if old != 'words' else data.write_text(data.read_text().replace(old, new, 1))
    arguments = ['--data-sets', 'scenes', str(tmp_path / name), '--out', str(tmp_path / 'out')]
    assert leaderboard.main(arguments) == 1
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.startswith('error: ')
    assert error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_two_data_sets_of_one_name(data, tmp_path):
    other = own_files.write(tmp_path / 'other/my_data.py', data.read_text())
    with pytest.raises(ValueError, match='two data sets of one name: rename a file'):
        read_data_sets([str(data), 'voc21', str(other)])


def test_an_unknown_method_names_the_known_and_the_remedy(method, capsys, tmp_path):
    arguments = ['--methods', 'yours', '--data-sets', 'scenes', '--out', str(tmp_path / 'out')]
    assert leaderboard.main(arguments) == 1
    error = capsys.readouterr().err
    assert "unknown method 'yours'; take one of: clip, maskclip" in error
    assert 'or give the file that adds it with --import' in error
    assert 'imported, without it' not in error
    assert leaderboard.main([*arguments, '--import', str(method)]) == 1
    error = capsys.readouterr().err
    assert ', mine, or give the file' in error
    assert re.search(r'my_method\.py: imported, without it', error)


@pytest.mark.slow
def test_own_figures_stand_after_the_shipped_ones_and_need_no_file_to_be_shown(
    method, data, tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(charts, 'draw', lambda panels, path: drawn.append(panels))
    monkeypatch.setattr(
        suites,
        'run_together',
        lambda cfgs, *_, **__: {
            name: {'metrics': {'mIoU': 12.5}, 'protocol': {'surgery': {}}} for name in cfgs
        },
    )
    method.write_text(method.read_text() + "SURGERIES['zeta'] = Surgery(1, 'qq')\n")
    arguments = ['--import', str(method), '--methods', 'zeta', 'naclip', 'mine', 'clip']
    arguments += ['--data-sets', str(data), 'voc21', 'scenes', '--out', str(tmp_path / 'out')]
    with own_files.forgotten():
        assert leaderboard.main(arguments) == 0
    written = {path.name: path.read_text() for path in (tmp_path / 'out').glob('*.*')}
    assert leaderboard.main(['--tables', '--out', str(tmp_path / 'out')]) == 0
    assert written == {path.name: path.read_text() for path in (tmp_path / 'out').glob('*.*')}
    assert drawn[0] == drawn[1]
    assert list(drawn[0])[-2:] == ['Scenes', 'My data']
    assert list(drawn[0]['My data']) == ['CLIP', 'NACLIP + PAMR', 'mine', 'zeta']
    lines = written['leaderboard.md'].splitlines()
    assert lines[0].endswith('| Context459 | My data |')
    ours = [line.split(' | ')[0].strip('| ') for line in lines if line.endswith('| 12.50 |')]
    assert ours == ['CLIP', 'NACLIP', 'mine', 'zeta']
    assert [line.split('|')[1].strip() for line in written['scenes.md'].splitlines()[2:]] == [
        'CLIP', 'NACLIP', 'mine', 'zeta',
    ]  # fmt: skip
    rows = list(csv.DictReader(written['figures.csv'].splitlines()))
    found = [(row['data_set'], row['method']) for row in rows if row['origin'] == 'ours']
    assert [name for data_set, name in found if data_set == 'my_data'] == ORDER


def test_check_names_a_method_it_does_not_know(method, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(charts, 'draw', lambda panels, path: None)
    metrics = {'mIoU': 1.0, 'mIoU_objects': 1.0, 'mIoU_grounds': 1.0}
    found = {'mine': {'metrics': metrics, 'protocol': {}}}
    monkeypatch.setattr(suites, 'run_together', lambda *_, **__: found)
    out = ['--out', str(tmp_path / 'out')]
    with own_files.forgotten():
        run = ['--import', str(method), '--methods', 'mine', '--data-sets', 'scenes']
        assert leaderboard.main([*run, *out]) == 0
        assert leaderboard.main(['--check', *out]) == 0
    capsys.readouterr()
    assert leaderboard.main(['--check', *out]) == 0
    assert 'not compared with its settings: mine on scenes' in capsys.readouterr().out
    method.write_text(method.read_text() + '# edited\n')
    assert leaderboard.main(['--import', str(method), '--check', *out]) == 1
    assert 'the result of mine on scenes is of other settings' in capsys.readouterr().err


def test_an_evaluator_without_miou_is_named(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(passes, 'evaluate', lambda cfg, **_: {'metrics': {'mDice': 3.0}, 'protocol': {}})
    monkeypatch.setattr(charts, 'draw', lambda panels, path: None)
    arguments = ['--methods', 'clip', '--data-sets', str(data), '--out', str(tmp_path / 'out')]
    assert leaderboard.main(arguments) == 1
    assert 'the evaluator of my_data gives mDice and no mIoU' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize('processes', [0, 1])
def test_real_runs(method, data, tmp_path, processes, monkeypatch):
    commands = []

    def launched(command, output):
        commands.append(command)
        return forked.launched(command, output)

    monkeypatch.setattr(own_processes, 'run_to_end', launched)
    towers = dict(arch=ARCH, pretrained=str(tiny.weights_file(ARCH)))
    options = [f'model.{tower}.{key}={value!r}'.replace(' ', '') for tower in ('backbone', 'text_encoder')
               for key, value in [('pretrained', towers['pretrained'])]]  # fmt: skip
    folder = own_files.write(tmp_path / 'clip/open_clip_config.json', json.dumps({'model_cfg': ARCH})).parent
    options += [f'model.{tower}.arch={folder}' for tower in ('backbone', 'text_encoder')]
    options += ['model.data_preprocessor=None', 'model.backbone.surgery.last_blocks=3']
    arguments = ['--import', str(method), '--methods', 'mine', '--data-sets', str(data)]
    arguments += ['--out', str(tmp_path / 'out'), '--work-dir', str(tmp_path / 'work')]
    arguments += ['--processes', str(processes), '--cfg-options', *options]
    assert leaderboard.main(arguments) == 0
    assert len(commands) == processes
    assert all(str(method) in command for command in commands)  # the processes import it, too
    result = json.loads((tmp_path / 'out/my_data/mine.json').read_text())
    assert result['images'] == 2
    assert result['cell']['own_data_set'] == {'title': 'My data'}
    assert result['protocol']['surgery'] == dict(
        name='mine', last_blocks=3, affinity='kk', residual=True, ffn=False, position='bicubic_scale'
    )
    assert [row['class'] for row in result['per_class']] == ['ground', 'thing', 'sky']
    assert tables.leaderboard_table(grid.read_cells(tmp_path / 'out')).count('mine') == 1
