"""The environment check: real processes in environments that lack a piece or have one too many."""

import subprocess
import sys

from environments import MMSEG_STACK, ROOT, make_environment, run
from mmseg_clipsurgery.environment import stack as environment

import pytest


def stack(**versions: str) -> dict[str, str]:
    return {name.replace('_', '-'): version for name, version in versions.items()}


FORK = stack(onedl_mmengine='0.10.12', onedl_mmcv='2.3.6', onedl_mmsegmentation='1.4.2')
IMPORT_CASES = {
    'nothing installed': (('',), {}, 'torch is not installed', 'pip install torch'),
    'no open_clip': (('open_clip',), {}, 'open_clip is not installed', 'pip install "open_clip_torch'),
    'no MMSeg': (MMSEG_STACK, {}, 'mmengine is not installed', environment.FORK),
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


@pytest.mark.parametrize('case', IMPORT_CASES | STACK_CASES)
def test_import_names_what_is_wrong_and_the_remedy(tmp_path, case):
    without, extra, sentence, remedy = (IMPORT_CASES | STACK_CASES)[case]
    done = run(make_environment(tmp_path, without, extra), '-c', 'import mmseg_clipsurgery')
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith('ImportError: mmseg_clipsurgery: ')
    assert sentence in last
    assert remedy in last


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


@pytest.mark.parametrize(
    ('arguments', 'original', 'expected'),
    [
        (['-m', 'doctor'], ['python', '-m', 'mmseg_clipsurgery', 'doctor'], True),
        (['-m', 'doctor', '-x'], ['python', '-Wignore', '-m', 'mmseg_clipsurgery', 'doctor', '-x'], True),
        (['-m', 'doctor'], ['python', '-mmmseg_clipsurgery', 'doctor'], True),
        (['/bin/mmseg-clipsurgery', 'doctor'], ['python', '/bin/mmseg-clipsurgery', 'doctor'], True),
        (['-m', 'export', 'doctor'], ['python', '-m', 'mmseg_clipsurgery', 'export', 'doctor'], False),
        (['-m', 'doctor'], ['python', '-m', 'another_package', 'doctor'], False),
        (['/bin/another', 'doctor'], ['python', '/bin/another', 'doctor'], False),
        (['-c'], ['python', '-c', 'import mmseg_clipsurgery'], False),
        ([''], ['python'], False),
    ],
)
def test_only_the_doctor_is_taken_for_the_doctor(arguments, original, expected):
    assert environment.running_doctor(arguments, original) is expected


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


def test_nothing_but_the_standard_library_is_imported():
    code = (
        'import sys; sys.argv[1:] = ["doctor"]; sys.argv[0] = "mmseg-clipsurgery"; import mmseg_clipsurgery; '
        'print(*{"torch", "numpy", "mmseg"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == ''
