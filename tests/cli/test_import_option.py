"""`--import FILE` on every command: what the file adds can be asked for; a file that can't be used is one sentence."""

import json

import mini_voc
import own_files
import photos
from mmseg_clipsurgery import __main__ as commands
from mmseg_clipsurgery import test as tool
from mmseg_clipsurgery.cli import check_dataset, explain, export, leaderboard
from mmseg_clipsurgery.evaluation.configs import read_config

import pytest
import torch

pytestmark = pytest.mark.mmseg

COMMANDS = {
    'test': (tool.main, ['clipsurgery_voc']),
    'export': (export.main, ['clipsurgery_voc', 'out.pth']),
    'check_dataset': (check_dataset.main, ['voc']),
    'leaderboard': (leaderboard.main, []),
    'explain': (explain.main, []),
    'segment': (commands.main, ['segment', '.', '--words', 'cat']),
    'patch-query': (commands.main, ['patch-query', '.', '--at', '1', '1']),
}


@pytest.fixture(autouse=True)
def forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    monkeypatch.chdir(tmp_path)
    with own_files.forgotten():
        yield


@pytest.fixture
def method(tmp_path):
    return str(own_files.write(tmp_path / 'my_method.py', own_files.METHOD))


@pytest.mark.parametrize(('main', 'arguments'), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_file_that_raises_ends_the_command(main, arguments, tmp_path, capsys):
    photos.save(tmp_path / 'a.png', photos.photo())
    own_files.write(tmp_path / 'first.py', own_files.METHOD)
    own_files.write(tmp_path / 'wrong.py', 'no_such_name\n')
    assert main([*arguments, '--import', 'first.py', '--import', 'wrong.py']) == 1
    error = capsys.readouterr().err
    assert error.startswith(f'error: {tmp_path}/wrong.py raises while it is imported, in line 1: NameError')
    assert error.count('\n') == 1


@pytest.mark.slow
def test_a_photo_under_a_surgery_of_ones_own(method, tmp_path):
    clip = photos.folder(tmp_path / 'clip')
    photos.save(tmp_path / 'a.png', photos.photo())
    words = [
        'heatmaps',
        'a.png',
        '--words',
        'cat',
        'dog',
        '--arch',
        str(clip),
        '--templates',
        'bare',
        '--json',
    ]
    words += ['--surgery', 'mine', 'maskclip', '--device', 'cpu', '--out', 'out', '--import', method]
    assert commands.main(words) == 0
    found = json.loads((tmp_path / 'out/a_heatmaps.json').read_text())
    assert set(found['surgeries']) == {'mine', 'maskclip'}


@pytest.mark.slow
def test_a_config_that_names_it_is_run_and_exported(method, tmp_path):
    cfg = mini_voc.tiny_config(mini_voc.make(tmp_path / 'voc', mini_voc.NAMES[:2]))
    cfg.model.backbone.surgery = 'mine'
    cfg.dump('config.py')
    torch.manual_seed(0)
    assert export.main(['config.py', 'model.pth', '--import', method]) == 0
    options = ['--work-dir', 'work', '--cfg-options', 'model.backbone.surgery.ffn=True']
    assert tool.main(['config.py', 'model.pth', '--import', method, *options]) == 0
    found = json.loads((tmp_path / 'work/results.json').read_text())
    assert found['protocol']['surgery']['name'] == 'mine'
    assert found['protocol']['surgery']['affinity'] == 'kk'
    assert found['protocol']['surgery']['ffn'] is True


def test_a_data_sets_type_from_a_file_of_ones_own(tmp_path, capsys):
    text = """
        from mmseg.datasets import PascalVOCDataset
        from mmseg.registry import DATASETS

        @DATASETS.register_module(force=True)
        class DatasetOfMyOwn(PascalVOCDataset):
            pass
    """
    own_files.write(tmp_path / 'my_dataset.py', text)
    cfg = read_config(mini_voc.config(mini_voc.make(tmp_path / 'voc')))
    cfg.test_dataloader.dataset.type = 'DatasetOfMyOwn'
    cfg.pop('model'), cfg.pop('test_evaluator')
    cfg.dump('data.py')
    assert check_dataset.main(['data.py', '--subset', '--import', 'my_dataset.py']) == 0
    assert '5 images and 5 masks are right' in capsys.readouterr().out
