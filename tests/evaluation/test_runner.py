"""`evaluate`: what it returns, what it leaves alone, and that runs which share a process do not meet."""

import json
import logging
import sys
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import mini_voc
import tiny
from mmseg_clipsurgery.evaluation import evaluate
from mmseg_clipsurgery.evaluation.run_logs import OUTPUT, run_logs
from mmseg_clipsurgery.inference.calibration_files import Calibration
from mmseg_clipsurgery.leaderboard.completeness import figure_note
from mmseg_clipsurgery.surgery import Surgery
from mmseg_clipsurgery.vocabulary import Vocabulary

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmengine.registry import DefaultScope

pytestmark = pytest.mark.mmseg


@pytest.fixture
def cfg(tmp_path, monkeypatch) -> Config:
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    made = mini_voc.tiny_config(mini_voc.make(tmp_path / 'voc', mini_voc.NAMES[:2]))
    arch = dict(mini_voc.TINY_CLIP, quick_gelu=False)
    for tower in (made.model.backbone, made.model.text_encoder):
        tower.update(arch=arch, pretrained=str(tiny.weights_file(arch)))
    return made


def log_of(folder: Path) -> str:
    """MMEngine's log file of the one run in a work folder."""
    (path,) = folder.glob('*/*.log')
    return path.read_text()


@pytest.mark.slow
def test_what_is_returned_is_what_the_file_holds(cfg, tmp_path):
    found = evaluate(cfg, work_dir=tmp_path / 'work', quiet=True)
    assert found == json.loads((tmp_path / 'work/results.json').read_text())
    assert (found['images'], len(found['per_class'])) == (2, 21)


@pytest.mark.slow
def test_the_config_of_the_caller_stays_as_it_is(cfg, tmp_path):
    before, text = deepcopy(cfg.to_dict()), cfg.pretty_text
    options = {'model.backbone.surgery.last_blocks': 2}
    evaluate(cfg, options=options, work_dir=tmp_path / 'work', out=tmp_path / 'masks', tta=True, quiet=True)
    assert (cfg.to_dict(), cfg.pretty_text) == (before, text)
    assert options == {'model.backbone.surgery.last_blocks': 2}


@pytest.mark.slow
def test_results_say_that_settings_were_calibrated(cfg, tmp_path):
    words = Vocabulary.read(cfg.model.text_encoder.vocabulary)
    settings = {'logit_scale': 20.0, 'area_thd': 0.0, 'prob_thd': 0.07}
    surgery = Surgery.read(cfg.model.backbone.surgery).name
    path = tmp_path / 'calibration.json'
    Calibration(10, 'dev.txt', surgery, words.classes, settings, {'threshold': 0.0}, {}).write(path)
    options = {'model.test_cfg.calibration': str(path)}
    found = evaluate(cfg, options=options, work_dir=tmp_path / 'calibrated', quiet=True)
    stated = found['protocol']
    assert stated['calibrated on'] == '10 images of dev.txt'
    assert figure_note(found).endswith('calibrated on 10 images of dev.txt')
    by_hand = {'model.test_cfg.logit_scale': 20.0, 'model.test_cfg.prob_thd': 0.07}
    plain = evaluate(cfg, options=by_hand, work_dir=tmp_path / 'by_hand', quiet=True)
    assert plain['metrics'] == found['metrics']
    assert plain['protocol'] == {**stated, 'calibrated on': None}


@pytest.mark.slow
def test_object_file_and_options_are_the_same_run(cfg, tmp_path):
    cfg.dump(tmp_path / 'mine.py')
    given = [cfg, str(tmp_path / 'mine.py')]
    changed = deepcopy(cfg)
    changed.model.backbone.surgery = 'sclip'
    runs = [evaluate(one, work_dir=tmp_path / str(n), quiet=True) for n, one in enumerate([*given, changed])]
    assert runs[0]['per_class'] == runs[1]['per_class']
    by_option = evaluate(
        cfg, options={'model.backbone.surgery': 'sclip'}, work_dir=tmp_path / 'option', quiet=True
    )
    assert by_option['per_class'] == runs[2]['per_class']
    assert by_option['protocol']['surgery'] == runs[2]['protocol']['surgery']


@pytest.mark.slow
@pytest.mark.parametrize('quiet', [True, False])
def test_logs_of_two_runs_in_a_row_are_complete(cfg, tmp_path, capfd, quiet):
    folders = [tmp_path / name for name in ('one', 'two')]
    for folder in folders:
        evaluate(cfg, work_dir=folder, quiet=quiet)
    captured = capfd.readouterr()
    assert 'Logging error' not in captured.err
    printed = [(folder / OUTPUT).read_text() for folder in folders] if quiet else [captured.out]
    for text in printed:
        for line in ('preflight: 2 images checked', 'protocol', '2/2 images', '|  background'):
            assert text.count(line) == len(folders) // len(printed)
    assert not captured.out or not quiet
    for folder in folders:
        log = log_of(folder)
        for line in ('protocol', 'surgery  ', '2/2 images', f'results: {folder / "results.json"}'):
            assert log.count(line) == 1
        assert len(list(folder.glob('*/vis_data/config.py'))) == 1


def test_nothing_is_left_of_a_run(tmp_path):
    before = MMLogger.get_instance('of the caller'), logging.getLogger('mmseg_clipsurgery').handlers[:]
    stdout = sys.stdout
    with suppress(ValueError), run_logs(tmp_path, quiet=True):
        made = MMLogger.get_instance('of the run', log_file=str(tmp_path / 'log'))
        DefaultScope.get_instance('of the run', scope_name='mmseg')
        print_log('said', 'current')
        logging.getLogger('mmseg_clipsurgery').info('of the package')
        print('printed')
        raise ValueError('wrong')
    assert (MMLogger.get_current_instance(), logging.getLogger('mmseg_clipsurgery').handlers) == before
    assert not MMLogger.check_instance_created('of the run')
    assert not DefaultScope.check_instance_created('of the run')
    assert sys.stdout is stdout
    assert made.handlers[1].stream is None  # closed
    text = (tmp_path / OUTPUT).read_text()
    assert all(line in text for line in ('said', 'of the package', 'printed'))


def test_a_logger_of_the_caller_is_asked_alone(tmp_path, capsys):
    logger, handler = logging.getLogger('mmseg_clipsurgery'), logging.NullHandler()
    logger.addHandler(handler)
    try:
        with run_logs(tmp_path):
            logger.warning('to the caller')
    finally:
        logger.removeHandler(handler)
    assert 'to the caller' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(cfg='missing.py'), FileNotFoundError, 'the config missing.py does not exist'),
        (dict(checkpoint='missing.pth'), FileNotFoundError, 'checkpoint missing.pth does not exist'),
        (dict(data_root='missing'), FileNotFoundError, 'the data root missing'),
        (dict(launcher='horse'), ValueError, "unknown launcher 'horse'; take one of: none, pytorch"),
        (dict(options={'model.backbone.surgery.edge': 3}), ValueError, "unknown field 'edge'"),
        (dict(options={'work_dir.deep': 3}), ValueError, r'the options work_dir\.deep do not fit the config'),
    ],
    ids=['config', 'checkpoint', 'data root', 'launcher', 'field', 'options'],
)
def test_mistakes(cfg, tmp_path, change, error, message):
    cfg.work_dir = str(tmp_path / 'work')
    with pytest.raises(error, match=message):
        evaluate(**{'cfg': cfg, 'quiet': True, **change})
