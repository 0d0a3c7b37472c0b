"""The environment check: real processes in environments that lack a piece or have one too many."""

import sys

from environments import MMSEG_STACK, make_environment, run
from mmseg_clipsurgery.environment import stack as environment

import pytest


def stack(**versions: str) -> dict[str, str]:
    return {name.replace('_', '-'): version for name, version in versions.items()}


FORK = stack(onedl_mmengine='0.10.12', onedl_mmcv='2.3.6', onedl_mmsegmentation='1.4.2')
IMPORT_CASES = {
    'nothing installed': (('',), {}, 'torch is not installed', 'pip install torch'),
    'no open_clip': (('open_clip',), {}, 'open_clip is not installed', 'pip install "open_clip_torch'),
    'a part of MMSeg': (('mmengine', 'onedl_mmengine'), {}, 'mmengine is not installed', environment.FORK),
    'old open_clip': (
        ('open_clip_torch',),
        {'open_clip_torch': '2.19.0'},
        'open_clip_torch 2.19.0 is older',
        'pip install "open_clip_torch>=2.20"',
    ),
}
# These replace what pip knows of MMSeg's stack and leave the modules where they are.
METADATA = ('onedl_', 'mmengine-', 'mmcv-', 'mmcv_', 'mmsegmentation-')
STACK_CASES = {
    'both stacks': (
        METADATA,
        FORK | stack(mmengine='0.10.7', mmcv_lite='2.1.0', mmsegmentation='1.2.2'),
        'onedl-mmsegmentation and mmsegmentation are installed over each other',
        'pip uninstall -y onedl-mmengine mmengine onedl-mmcv mmcv-lite onedl-mmsegmentation mmsegmentation && ',
    ),
    'one pair': (
        METADATA,
        FORK | stack(mmcv='2.1.0'),
        ': onedl-mmcv and mmcv are installed over each other',
        'pip uninstall -y onedl-mmengine onedl-mmcv mmcv onedl-mmsegmentation && ',
    ),
    'mmcv too new': (
        METADATA,
        stack(mmengine='0.10.7', mmcv='2.2.0', mmsegmentation='1.2.2'),
        'mmsegmentation 1.2.2 refuses mmcv 2.2.0',
        'pip uninstall -y mmcv && pip install "setuptools<81"',
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('case', IMPORT_CASES | STACK_CASES)
def test_import_names_what_is_wrong_and_the_remedy(tmp_path, case):
    without, extra, sentence, remedy = (IMPORT_CASES | STACK_CASES)[case]
    done = run(make_environment(tmp_path, without, extra), '-c', 'import mmseg_clipsurgery')
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith('ImportError: mmseg_clipsurgery: ')
    assert sentence in last
    assert remedy in last


@pytest.mark.slow
def test_mmseg_is_asked_for_by_those_who_need_it(tmp_path):
    command = ('-m', 'mmseg_clipsurgery', 'check-dataset', 'voc')
    done = run(make_environment(tmp_path, MMSEG_STACK), *command)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        'error: mmseg_clipsurgery: MMSegmentation is not installed, and this command needs it; '
    )
    assert environment.FORK in line


@pytest.mark.parametrize(
    ('found', 'expected'),
    [
        ((), False),
        (('mmengine',), False),
        (('mmcv',), True),
        (('mmseg',), True),
        (('mmengine', 'mmcv', 'mmseg'), True),
    ],
    ids=['nothing', 'mmengine of another project', 'mmcv', 'mmseg', 'all'],
)
def test_a_stack_is_installed_where_mmcv_or_mmseg_is(monkeypatch, found, expected):
    monkeypatch.setattr(
        environment.importlib.util, 'find_spec', lambda name: object() if name in found else None
    )
    assert environment.mmseg_installed() is expected


@pytest.mark.mmseg
def test_this_environment_has_all_that_is_required():
    environment.require()
    assert environment.clash() is None


@pytest.mark.parametrize(
    ('found', 'wanted', 'expected'),
    [
        ('2.20.0', '2.20', True),
        ('2.20', '2.20.0', True),
        ('2.3.6', '2.20', False),
        ('3.3.0+cpu', '2.20', True),
        ('2.1.0', '2.2', False),
        ('2.2.0rc1', '2.2', True),
        ('unknown', '2.2', False),
    ],
)
def test_versions_compare_by_release_numbers(found, wanted, expected):
    assert environment.at_least(found, wanted) is expected


def test_openmmlab_without_compiled_operators_is_a_problem(monkeypatch, tmp_path):
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'mmcv', raising=False)
    monkeypatch.setattr(
        environment, 'distribution_version', {'mmcv-lite': '2.1', 'mmsegmentation': '1.2'}.get
    )
    sentence, remedy = environment.uncompiled()
    assert 'mmcv-lite has none' in sentence
    assert remedy.startswith('pip uninstall -y mmcv-lite && ')
    (tmp_path / 'mmcv' / '_ext.cpython-311-x86_64-linux-gnu.so').touch()
    assert environment.uncompiled() is None


def test_fork_needs_no_compiled_operators(monkeypatch):
    monkeypatch.setattr(environment, 'distribution_version', {'onedl-mmsegmentation': '1.4'}.get)
    monkeypatch.setattr(environment, 'has_operators', lambda: False)
    assert environment.uncompiled() is None


def test_remedy_completes_the_stack_that_is_there(monkeypatch):
    monkeypatch.setattr(environment, 'distribution_version', {'mmsegmentation': '1.2.2'}.get)
    assert environment.stack_remedy() == environment.OPENMMLAB
    monkeypatch.setattr(environment, 'distribution_version', {}.get)
    assert environment.stack_remedy() == environment.FORK


def test_cache_folder_follows_its_variables(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.delenv(environment.CACHE_VARIABLE, raising=False)
    assert environment.cache_folder() == tmp_path / 'mmseg_clipsurgery'
    monkeypatch.setenv(environment.CACHE_VARIABLE, str(tmp_path / 'mine'))
    assert environment.cache_folder() == tmp_path / 'mine'


def test_without_a_home_the_variable_is_named(monkeypatch):
    def no_home(path):
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv(environment.CACHE_VARIABLE, raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr(environment.Path, 'expanduser', no_home)
    with pytest.raises(FileNotFoundError, match=f'no home: set {environment.CACHE_VARIABLE}'):
        environment.cache_folder()
