"""The doctor, run as a user runs it where something is broken, and check by check."""

import sys
from importlib import import_module

from environments import MMSEG_STACK, make_environment, run
from mmseg_clipsurgery import __main__
from mmseg_clipsurgery.environment import doctor
from mmseg_clipsurgery.environment import stack as environment

import pytest

COMMAND = ('-m', 'mmseg_clipsurgery', 'doctor')


def test_doctor_works_where_nothing_is_installed(tmp_path):
    done = run(make_environment(tmp_path, without=('',)), *COMMAND)
    assert done.returncode == 1
    assert done.stderr == ''
    lines = done.stdout.splitlines()
    broken = {line.split()[1] for line in lines if line.startswith('BROKEN')}
    assert {'numpy', 'torch', 'torchvision', 'open_clip', 'PIL', 'cv2', 'matplotlib', 'safetensors'} <= broken
    torch = next(index for index, line in enumerate(lines) if line.split()[:2] == ['BROKEN', 'torch'])
    assert lines[torch + 1].split(maxsplit=3)[3] == 'pip install torch'
    assert lines[-1].startswith('broken: numpy, torch')


@pytest.mark.slow
def test_doctor_is_content_without_mmseg_and_says_how_to_get_it(tmp_path):
    done = run(make_environment(tmp_path, without=MMSEG_STACK), *COMMAND)
    assert done.returncode == 0, done.stdout
    states = {line[9:23].strip(): line.split()[0] for line in done.stdout.splitlines() if line[:1] != ' '}
    assert states['torch'] == states['open_clip'] == states['package'] == 'ok'
    assert states['torchvision'] in ('ok', 'note')
    assert states['MMSeg stack'] == states['mmseg'] == states['mmcv'] == states['mmengine'] == 'note'
    assert environment.FORK in done.stdout


def test_doctor_helps(capsys):
    with pytest.raises(SystemExit) as helped:
        doctor.main(['--help'])
    assert helped.value.code == 0
    printed = ' '.join(capsys.readouterr().out.split())
    assert all(name in printed for name in doctor.CHECKS)
    assert 'exit codes: 0 everything needed is there, 1 a piece is broken' in printed


def test_doctor_refuses_arguments():
    with pytest.raises(SystemExit) as refused:
        doctor.main(['torch'])
    assert refused.value.code == 2


def test_doctor_sees_both_stacks(monkeypatch):
    versions = {'onedl-mmcv': '2.3.6', 'mmcv-lite': '2.1.0'}
    monkeypatch.setattr(environment, 'distribution_version', versions.get)
    finding = doctor.stack()
    assert finding.state == doctor.BROKEN
    assert finding.remedy.startswith('pip uninstall -y onedl-mmcv mmcv-lite && ')


@pytest.mark.parametrize(
    ('versions', 'state', 'words'),
    [
        ({'onedl-mmengine': '1', 'onedl-mmsegmentation': '1'}, doctor.OK, 'fork'),
        ({'mmengine': '1', 'mmsegmentation': '1'}, doctor.OK, "OpenMMLab's"),
        ({'mmengine': '1', 'onedl-mmsegmentation': '1'}, doctor.NOTE, 'mixture'),
        ({}, doctor.NOTE, 'no MMSeg distribution'),
    ],
    ids=['fork', 'openmmlab', 'mixture', 'none'],
)
def test_doctor_tells_the_stacks_apart(monkeypatch, versions, state, words):
    monkeypatch.setattr(environment, 'distribution_version', versions.get)
    finding = doctor.stack()
    assert finding.state == state
    assert words in finding.words


@pytest.mark.parametrize(
    ('name', 'error', 'expected'),
    [
        ('open_clip', ModuleNotFoundError('no', name='torch'), 'torch'),
        ('mmseg', ModuleNotFoundError('no', name='not_there.deep'), 'pip install not_there'),
        ('mmengine', ModuleNotFoundError('no', name='pkg_resources_'), 'pip install pkg_resources_'),
        ('torchvision', RuntimeError('no'), 'pip install --force-reinstall torch torchvision'),
    ],
    ids=['what it missed', 'unknown module', 'by import name', 'reinstall'],
)
def test_remedy_names_what_was_missed(name, error, expected):
    assert expected in doctor.remedy(name, error)


def test_an_exception_from_the_depths_is_a_finding():
    def check() -> doctor.Finding:
        raise RuntimeError('first line\nsecond line')

    assert doctor.examine('torch', check).words == 'first line'
    assert doctor.examine('torch', check).state == doctor.BROKEN


def test_cache_that_cannot_be_written_is_noted_with_its_remedy(monkeypatch, tmp_path):
    in_the_way = tmp_path / 'file'
    in_the_way.touch()
    monkeypatch.setenv(environment.CACHE_VARIABLE, str(in_the_way / 'cache'))
    finding = doctor.cache()
    assert finding.state == doctor.NOTE
    assert environment.CACHE_VARIABLE in finding.remedy


def test_missing_embedded_model_is_broken(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, 'EMBEDDED_MODEL', tmp_path)
    assert doctor.model().state == doctor.BROKEN
    (tmp_path / 'model.safetensors').write_bytes(bytes(2_000_000))
    assert doctor.model() == (doctor.OK, 'model.safetensors, 2.0 MB', '')


@pytest.mark.slow
@pytest.mark.mmseg
def test_doctor_is_content_with_this_environment(capsys):
    assert doctor.main() == 0
    printed = capsys.readouterr().out
    assert doctor.BROKEN not in printed
    assert printed.splitlines()[-1] == 'everything needed is there'


def test_commands_are_dispatched_with_their_arguments(monkeypatch, capsys):
    seen = []
    module = type(sys)('stand_in_command')
    module.main = lambda arguments: seen.append(arguments)
    monkeypatch.setitem(sys.modules, 'stand_in_command', module)
    monkeypatch.setitem(__main__.COMMANDS, 'try', ('stand_in_command', 'does nothing'))
    assert __main__.main(['try', 'a', '--b']) == 0
    assert seen == [['a', '--b']]


@pytest.mark.parametrize(
    ('arguments', 'code', 'stream'),
    [(['--help'], 0, 'out'), ([], 2, 'out'), (['nonsense'], 2, 'err')],
    ids=['help', 'nothing', 'unknown'],
)
def test_usage_lists_every_command(capsys, arguments, code, stream):
    assert __main__.main(arguments) == code
    printed = getattr(capsys.readouterr(), stream)
    assert all(name in printed for name in __main__.COMMANDS)


def test_every_command_has_its_module():
    for module, _ in __main__.COMMANDS.values():
        assert callable(import_module(module).main)
