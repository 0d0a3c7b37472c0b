"""What travels: the wheel, the source distribution, pins that must agree, and the way to a shipped config."""

import configparser
import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import mmseg_clipsurgery
from mmseg_clipsurgery import resources as shipped
from mmseg_clipsurgery.environment import stack as environment

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILT_FROM = ('mmseg_clipsurgery', 'configs', 'tools', 'tests', 'requirements')
LEFTOVER = 'build/lib/mmseg_clipsurgery/.mim/configs/of_an_earlier_build.py'


def files(folder: Path) -> set[str]:
    """Relative paths of the files in a folder, but for bytecode and dot files."""
    found = (path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    return {path.as_posix() for path in found if '__pycache__' not in path.parts and path.name[0] != '.'}


@pytest.fixture(scope='module')
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the source distribution, built from a copy in which somebody has built before."""
    source, target = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('built')
    for name in BUILT_FROM:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('.mim'))
    for path in ROOT.iterdir():
        if path.is_file() and path.name[0] != '.':
            shutil.copy2(path, source)
    (source / LEFTOVER).parent.mkdir(parents=True)
    (source / LEFTOVER).touch()
    target_text = repr(str(target))
    code = (
        f'from setuptools import build_meta as b; b.build_wheel({target_text}); b.build_sdist({target_text})'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope='module')
def wheel(built) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob('*.whl')))


@pytest.mark.parametrize(
    ('folder', 'inside'),
    [
        ('configs', 'mmseg_clipsurgery/.mim/configs'),
        ('tools', 'mmseg_clipsurgery/.mim/tools'),
        ('mmseg_clipsurgery', 'mmseg_clipsurgery'),
    ],
)
def test_wheel_holds_the_whole_folder(wheel, folder, inside):
    names = [PurePosixPath(name) for name in wheel.namelist()]
    held = {str(name.relative_to(inside)) for name in names if name.is_relative_to(inside)}
    assert files(ROOT / folder)
    assert {name for name in held if not name.startswith('.mim')} == files(ROOT / folder)


def test_wheel_holds_nothing_else(wheel):
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert tops == {'mmseg_clipsurgery', f'mmseg_clipsurgery-{mmseg_clipsurgery.__version__}.dist-info'}
    assert not [name for name in wheel.namelist() if '__pycache__' in name or 'earlier' in name]


def test_wheel_requires_neither_mmseg_distribution(wheel):
    metadata = email.message_from_bytes(wheel.read(member(wheel, 'METADATA')))
    required = metadata.get_all('Requires-Dist')
    always = {re.match(r'[\w-]+', line)[0].replace('-', '_') for line in required if 'extra ==' not in line}
    assert always == {'torch', 'torchvision', 'numpy', 'open_clip_torch', 'safetensors'}
    assert set(metadata.get_all('Provides-Extra')) == {'onedl', 'openmmlab', 'sam', 'dev'}
    assert not [line for line in required if re.match(r'mmcv\b', line)]


def test_wheel_has_the_console_script(wheel):
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(member(wheel, 'entry_points.txt')).decode())
    assert parser['console_scripts']['mmseg-clipsurgery'] == 'mmseg_clipsurgery.__main__:main'


def member(wheel: zipfile.ZipFile, name: str) -> str:
    return f'mmseg_clipsurgery-{mmseg_clipsurgery.__version__}.dist-info/{name}'


def test_source_distribution_builds_and_tests(built):
    with tarfile.open(next(built.glob('*.tar.gz'))) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    for folder in BUILT_FROM:
        assert {f'{folder}/{name}' for name in files(ROOT / folder)} <= names
    assert {'setup.py', 'pyproject.toml', 'Makefile', 'LICENSE'} <= names


@pytest.mark.mmseg
def test_installed_wheel_imports_all_and_finds_its_configs(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = (
        'import mmseg_clipsurgery, torchvision, open_clip, mmseg.apis, mmengine; '
        'path = mmseg_clipsurgery.config("clipsurgery_voc"); '
        'print(path); print(mmengine.Config.fromfile(path).model.type)'
    )
    variables = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    done = subprocess.run(
        [sys.executable, '-c', code], env=variables, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    path, kind = done.stdout.splitlines()[-2:]
    assert Path(path) == tmp_path.resolve() / 'mmseg_clipsurgery' / '.mim' / 'configs' / 'clipsurgery_voc.py'
    assert kind == 'CLIPSurgerySegmentor'


@pytest.mark.parametrize('name', ['clipsurgery_voc', 'clipsurgery_scenes.py'])
def test_config_is_found_with_and_without_its_ending(name):
    assert Path(shipped.config(name)) == ROOT / 'configs' / f'{name.removesuffix(".py")}.py'


def test_unknown_config_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no config 'voc' is shipped; .*clipsurgery_voc, "):
        shipped.config('voc')


def test_missing_configs_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, 'PACKAGE', tmp_path / 'site' / 'mmseg_clipsurgery')
    with pytest.raises(FileNotFoundError, match='install the package again'):
        shipped.config('clipsurgery_voc')


def test_configs_of_another_project_are_not_taken(monkeypatch, tmp_path):
    (tmp_path / 'configs').mkdir()
    monkeypatch.setattr(shipped, 'PACKAGE', tmp_path / 'mmseg_clipsurgery')
    with pytest.raises(FileNotFoundError):
        shipped.config_folder()


@pytest.mark.parametrize(
    ('remedy', 'name'), [(environment.FORK, 'onedl'), (environment.OPENMMLAB, 'openmmlab')]
)
def test_remedies_install_what_is_tested(remedy, name):
    pins = set((ROOT / 'requirements' / f'{name}.txt').read_text().split())
    mine = {word for word in remedy.split() if '==' in word}
    # OpenMMLab's own mmcv takes the place of the tests' mmcv-lite.
    assert {word.replace('mmcv==', 'mmcv-lite==') if name == 'openmmlab' else word for word in mine} <= pins
    assert len(mine) == 3


def test_every_requirement_is_pinned():
    lines = [line for path in (ROOT / 'requirements').glob('*.txt') for line in path.read_text().splitlines()]
    loose = [line for line in lines if line and line[0] not in '#-' and '==' not in line]
    assert loose == []
