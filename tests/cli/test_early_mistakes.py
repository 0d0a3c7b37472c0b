"""Mistakes that need no model are told before one is built: of each command a sentence, and no wait."""

import shlex
from functools import wraps
from importlib import import_module

from cases import slow_but
from mmseg_clipsurgery.__main__ import COMMANDS
from mmseg_clipsurgery.__main__ import main as command
from mmseg_clipsurgery.api import loading
from mmseg_clipsurgery.clip.tower import ImageTower

import numpy as np
import pytest
from PIL import Image

# Command line -> what its sentence holds. The folder has photo.png, masks/photo.png, empty.txt and twice.txt.
MISTAKES = {
    "segment photo.png --words ''": 'got an empty word',
    'segment photo.png --words cat cat': "two classes named 'cat'",
    'segment photo.png --words background': "got 'background' alone",
    'segment photo.png --vocabulary none.txt': 'which is not a file',
    'segment photo.png --vocabulary voc2': "unknown vocabulary name 'voc2'",
    'segment photo.png --vocabulary empty.txt': 'got an empty vocabulary',
    'segment photo.png --vocabulary twice.txt': "two classes named 'cat'",
    'segment none.png --words cat': 'none.png does not exist',
    'segment photo.png --words cat --surgery nothing': "unknown surgery 'nothing'",
    'segment photo.png --words cat --surgery clip nothing': "unknown surgery 'nothing'",
    'segment photo.png --words cat --surgery clip clip': '--surgery has clip twice',
    'segment photo.png --words cat --surgery clip proxyclip': '--surgery proxyclip reads the features',
    'segment photo.png --words cat --guide none.pt': 'none.pt does not exist',
    'segment photo.png --words cat --templates none.txt': 'which is not a file',
    'segment photo.png --words cat --short-side 9999': '--short-side must be at most 8192 pixels',
    'segment photo.png --words cat --batch 0': '--batch must',
    'segment photo.png --words cat --arch nothing': "unknown arch 'nothing'",
    'segment photo.png --words cat --arch scnes': 'did you mean scenes?',
    'segment photo.png --words cat dog --prob-thd 0.5': '--prob-thd gives pixels to class 0',
    'segment photo.png --words background cat --area-thd 5': '--area-thd must lie between 0 and 1',
    'segment photo.png --words cat dog --logit-scale 0': '--logit-scale must be above 0',
    'segment photo.png --words cat dog --min-presence 7': '--min-presence must lie between 0 and 1',
    'segment photo.png --words cat dog --calibration none.json': 'none.json does not exist',
    'heatmaps photo.png --words cat cat': "two classes named 'cat'",
    "heatmaps photo.png --words cat --against ''": 'got an empty word',
    'heatmaps photo.png --words cat --min-presence 7': '--min-presence must lie between 0 and 1',
    'heatmaps photo.png --words cat --explainer nothing': "unknown explainer 'nothing'",
    'heatmaps photo.png --words cat --explainer legrad --form paper': "the form 'paper'",
    "points photo.png --word ''": "got the text ''",
    "points photo.png --word cat --against ''": 'got an empty word',
    'points photo.png --word cat --threshold 9': '--threshold must lie between 0 and 1',
    'points photo.png --word cat --downsample 0': '--downsample must be',
    'recognise photo.png --words cat cat': "two classes named 'cat'",
    'recognise photo.png --words cat --logit-scale 0': '--logit-scale must be above 0',
    'recognise photo.png --words cat --labels none.csv': 'none.csv does not exist',
    'segment photo.png --words cat --logit-scale 9': '--logit-scale is for two words or more, and --words has one',
    'segment photo.png --words cat dog --threshold 0.2': '--threshold is for one word alone, and --words has 2',
    'heatmaps photo.png --words cat --explainer legrad --surgery gem': 'got --explainer legrad and --surgery gem',
    'heatmaps photo.png --words cat --explainer legrad --surgery clip_surgery': 'got --explainer legrad and --surgery',
    'heatmaps photo.png --words cat --explainer legrad --against dog': 'got --explainer legrad and --against',
    'heatmaps photo.png --words cat --explainer gem --against dog': 'got --explainer gem and --against',
    'heatmaps photo.png --words cat --form cosine --against dog': 'got --form cosine and --against',
    'recognise photo.png --words cat --form paper': '--form paper tells words apart, and there is one',
    'patch-query photo.png --at 50 3': '--at 50 3 lies outside every photo, the largest has 8 x 8 pixels',
    "explain-text photo.png --text ' '": 'give one with at least one word',
    'patch-query photo.png --at 3 -1': 'Y of --at must be',
    'calibrate photo.png --masks masks --words cat cat': "two classes named 'cat'",
    'calibrate none.png --masks masks --words background cat': 'none.png does not exist',
    'calibrate photo.png --masks nowhere --words background cat': '--masks nowhere is no folder',
    'calibrate photo.png --masks below --words background cat': 'photo.png has no mask below/photo.png',
    'calibrate photo.png --masks masks --words background cat dog bird': "the classes 'dog', 'bird' have no",
    'calibrate photo.png --masks masks --words background cat --out twice.txt': 'twice.txt is there already',
    'calibrate photo.png --masks masks --words background cat --surgery nothing': "unknown surgery 'nothing'",
    'calibrate photo.png --masks masks --words background cat --out photo.png/here': 'photo.png is no folder',
}
FAST = {
    'segment photo.png --words cat cat',
    'segment photo.png --words cat --surgery clip nothing',
    'segment photo.png --words cat dog --prob-thd 0.5',
    "heatmaps photo.png --words cat --against ''",
    'points photo.png --word cat --threshold 9',
    'recognise photo.png --words cat --logit-scale 0',
    'patch-query photo.png --at 3 -1',
    'calibrate photo.png --masks masks --words cat cat',
}
WITH_PHOTOS = ('segment', 'heatmaps', 'points', 'recognise', 'explain-text', 'patch-query')


@pytest.fixture
def _no_models(monkeypatch, tmp_path) -> None:
    """A folder of inputs, in which building a tower fails the test."""

    def build_tower(**_) -> None:
        raise AssertionError('a model was built')

    monkeypatch.setattr(loading, 'build_tower', build_tower)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'masks').mkdir()
    (tmp_path / 'below').mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save('photo.png')
    Image.fromarray(np.eye(8, dtype=np.uint8)).save('masks/photo.png')
    (tmp_path / 'empty.txt').write_text('\n')
    (tmp_path / 'twice.txt').write_text('cat\ncat\n')


@pytest.mark.usefixtures('_no_models')
@pytest.mark.parametrize('line', slow_but(FAST, MISTAKES))
def test_a_mistake_is_told_before_a_model_is_built(capsys, line):
    words = shlex.split(line)
    assert command([*words, *(['--arch', 'scenes'] if '--arch' not in words else [])]) == 1
    said = capsys.readouterr().err
    assert said.startswith('error: ')
    assert said.count('\n') == 1
    assert MISTAKES[line] in said


@pytest.mark.usefixtures('_no_models')
@pytest.mark.parametrize('name', slow_but({'segment'}, WITH_PHOTOS))
def test_right_options_build_a_model(name):
    """The other way round: what stops the cases above is their mistake."""
    own = {'points': ['--word', 'cat'], 'explain-text': ['--text', 'a cat'], 'patch-query': []}
    with pytest.raises(AssertionError, match='a model was built'):
        command([name, 'photo.png', '--arch', 'scenes', *own.get(name, ['--words', 'cat', 'dog'])])


@pytest.mark.parametrize('name', COMMANDS)
def test_wrong_options_are_one_line(capsys, name):
    with pytest.raises(SystemExit) as ended:
        command([name, '--no-such-option'])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith('error: ')
    assert said.endswith('; see --help\n')
    assert said.count('\n') == 1


WORDS = 'model.text_encoder.vocabulary'
CONFIG_MISTAKES = {  # module whose `main` it is, its arguments -> what its sentence holds
    ('test', 'clipsurgery_scenes', '--cfg-options', f'{WORDS}=none.txt'): 'which is not a file',
    ('test', 'clipsurgery_scenes', '--cfg-options', f'{WORDS}=twice.txt'): "two classes named 'cat'",
    (
        'cli.export',
        'clipsurgery_scenes',
        'o.pth',
        '--cfg-options',
        f'{WORDS}=none.txt',
    ): 'which is not a file',
    ('cli.leaderboard', '--methods', 'nothing', '--data-sets', 'scenes'): 'nothing',
    ('cli.leaderboard', '--methods', 'clip', '--data-sets', 'nowhere'): 'nowhere',
    ('cli.explain', '--explainers', 'nothing'): "unknown explainer 'nothing'",
    ('cli.faithfulness', '--explainers', 'nothing'): "unknown explainer 'nothing'",
    ('cli.calibrate', '--config', 'scenes', '--split', 'none.txt'): 'none.txt',
}


@pytest.mark.mmseg
@pytest.mark.slow
@pytest.mark.usefixtures('_no_models')
@pytest.mark.parametrize('line', CONFIG_MISTAKES, ids=' '.join)
def test_a_mistake_of_a_run_is_told_before_a_model_is_built(capsys, monkeypatch, line):
    @wraps(ImageTower.__init__)  # whose arguments are compared with those of a config
    def built(*_, **__) -> None:
        raise AssertionError('a model was built')

    monkeypatch.setattr(ImageTower, '__init__', built)
    module, *words = line
    assert import_module(f'mmseg_clipsurgery.{module}').main(words) == 1
    said = [text for text in capsys.readouterr().err.splitlines() if text.startswith(('error: ', 'failed: '))]
    assert len(said) == 1
    assert CONFIG_MISTAKES[line] in said[0]
