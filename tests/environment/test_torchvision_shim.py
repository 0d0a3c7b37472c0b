"""The torchvision shim on made-up torchvisions, each in a process of its own: operators are declared per process."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

from mmseg_clipsurgery.environment import torchvision_shim

import pytest
import torch

# The module alone, so that the package's own import does not act first.
LOAD = f"""
import importlib.util
spec = importlib.util.spec_from_file_location('shim', {torchvision_shim.__file__!r})
shim = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shim)
import torch
def declared():
    return [name for name in ('nms', 'qnms') if hasattr(torch.ops.torchvision, name)]
"""
LOADABLE = Path(torch.__file__).parent / 'lib' / 'libc10.so'


def made_up_torchvision(folder: Path, binary: str) -> None:
    package = folder / 'torchvision'
    package.mkdir()
    (package / '__init__.py').touch()
    if binary == 'broken':
        (package / '_C.so').write_text('not a library')
    elif binary == 'working':
        (package / '_C.so').symlink_to(LOADABLE)


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, 'PYTHONPATH': str(folder)}
    command = [sys.executable, '-c', LOAD + code]
    return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=folder, check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name == 'nt', reason='binaries are called .pyd there')
def test_broken_binary_declares_the_operators_for_good_and_logs_it_once(tmp_path):
    made_up_torchvision(tmp_path, 'broken')
    code = (
        'import gc, logging; logging.basicConfig(level=logging.DEBUG); '
        'print(shim.install(), shim.install()); gc.collect(); print(declared()); import torchvision'
    )
    done = run(tmp_path, code)
    assert done.stdout.splitlines() == ['True True', "['nms', 'qnms']"]
    assert done.stderr.count("torchvision's binary can't be loaded") == 1
    assert done.stderr.startswith('DEBUG:mmseg_clipsurgery:')
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(not LOADABLE.is_file(), reason='no library to load under this name')
def test_working_binary_is_left_alone(tmp_path):
    made_up_torchvision(tmp_path, 'working')
    done = run(tmp_path, 'print(shim.binary_problem(), shim.install(), declared())')
    assert done.stdout.strip() == 'None False []'
    assert done.stderr == ''


@pytest.fixture
def broken(monkeypatch, tmp_path):
    """This process, as if torchvision were broken and not imported yet; the operators are there already."""
    assert importlib.import_module('torchvision')
    made_up_torchvision(tmp_path, 'broken')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'torchvision')
    monkeypatch.setattr(torchvision_shim, '_declared', [])


def test_operators_declared_by_others_are_left_alone(broken):
    assert torchvision_shim.binary_problem()
    assert torchvision_shim.install() is False


def test_imported_torchvision_is_left_alone(broken, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchvision', object())
    monkeypatch.setattr(torchvision_shim, 'binary_problem', lambda: pytest.fail('no need to look'))
    assert torchvision_shim.install() is False


def test_other_failure_is_one_sentence_with_the_remedy(broken, tmp_path):
    (tmp_path / 'torchvision' / '__init__.py').write_text("raise RuntimeError('another CUDA\\nsee there')")
    with pytest.raises(
        ImportError, match=r'\(another CUDA\); mend it with: pip install .* torch torchvision$'
    ):
        torchvision_shim.require()


def test_missing_binary_is_a_problem(monkeypatch, tmp_path):
    made_up_torchvision(tmp_path, 'none')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    assert torchvision_shim.binary_problem() == f'there is no _C binary in {tmp_path / "torchvision"}'


def test_without_torchvision_there_is_nothing_to_mend(monkeypatch):
    monkeypatch.setattr(torchvision_shim.importlib.util, 'find_spec', lambda name: None)
    assert torchvision_shim.binary_problem() is None
