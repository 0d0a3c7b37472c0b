"""What travels: the wheel, the source distribution, pins that must agree, and the way to a shipped config."""

import ast
import configparser
import email
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import checkout
import mmseg_clipsurgery
from mmseg_clipsurgery import resources as shipped
from mmseg_clipsurgery.__main__ import main as command
from mmseg_clipsurgery.api import sam
from mmseg_clipsurgery.environment import stack as environment
from mmseg_clipsurgery.web import server

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LEFTOVER = 'build/lib/mmseg_clipsurgery/.mim/configs/of_an_earlier_build.py'


def files(folder: Path) -> set[str]:
    """Relative paths of the files in a folder, but for bytecode and dot files."""
    found = (path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    return {path.as_posix() for path in found if '__pycache__' not in path.parts and path.name[0] != '.'}


@pytest.fixture(scope='module')
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the source distribution, built from a copy in which somebody has built before."""
    target = tmp_path_factory.mktemp('built')
    source = checkout.copy_to(tmp_path_factory.mktemp('source'))
    (source / LEFTOVER).parent.mkdir(parents=True)
    (source / LEFTOVER).touch()
    checkout.build(source, target, 'wheel', 'sdist')
    return target


@pytest.fixture(scope='module')
def wheel(built) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob('*.whl')))


@pytest.mark.slow
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


@pytest.mark.slow
def test_wheel_holds_nothing_else(wheel):
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert tops == {'mmseg_clipsurgery', f'mmseg_clipsurgery-{mmseg_clipsurgery.__version__}.dist-info'}
    assert not [name for name in wheel.namelist() if '__pycache__' in name or 'earlier' in name]


@pytest.fixture(scope='module')
def required(wheel) -> dict[str, set[str]]:
    """Extra, '' for none -> names of the distributions that it brings."""
    metadata = email.message_from_bytes(wheel.read(member(wheel, 'METADATA')))
    found = {extra: set() for extra in ['', *metadata.get_all('Provides-Extra')]}
    for requirement in map(Requirement, metadata.get_all('Requires-Dist')):
        extra = next((name for name in found if f'"{name}"' in str(requirement.marker)), '')
        found[extra].add(canonicalize_name(requirement.name))
    return found


@pytest.mark.slow
def test_wheel_requires_what_the_python_interface_needs_and_no_mmseg(required):
    assert required[''] == {
        *('torch', 'torchvision', 'open-clip-torch', 'huggingface-hub', 'safetensors'),
        *('numpy', 'opencv-python', 'pillow', 'matplotlib'),
    }


@pytest.mark.slow
def test_extras_are_those_that_are_documented(required):
    assert set(required) == {
        '',
        'onedl',
        'openmmlab',
        'sam',
        'coco',
        'onnx',
        'supervision',
        'docs',
        'web',
        'dev',
    }
    assert required['onedl'] == {'onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation'}
    assert 'mmcv' not in required['openmmlab']  # compiled against the torch that is there: two commands


# Where the import name is not that of the distribution.
DISTRIBUTIONS = {
    'PIL': 'pillow',
    'cv2': 'opencv-python',
    'open_clip': 'open-clip-torch',
    'mmseg': 'mmsegmentation',
}
BY_SENTENCE = {'mmcv', 'scipy'}  # asked for with the command that installs it, where it is needed


def third_parties() -> set[str]:
    """What the package and its tools import, in functions too."""
    own = {'mmseg_clipsurgery', 'benchmarks', 'scenes_clip'}
    names = set()
    for folder in ('mmseg_clipsurgery', 'tools'):
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add(node.module.partition('.')[0])
    return names - set(sys.stdlib_module_names) - own


@pytest.mark.slow
def test_everything_imported_is_declared(required):
    declared = set().union(*required.values()) | BY_SENTENCE
    names = third_parties()
    assert {'torch', 'cv2', 'transformers'} <= names
    assert {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in names} <= declared


def documented_requirements() -> list[str]:
    """What the texts and the sentences with remedies ask pip for."""
    texts = [path.read_text(encoding='utf-8') for path in (*ROOT.glob('*.md'), *(ROOT / 'docs').glob('*.md'))]
    sentences = [
        environment.FORK,
        environment.OPENMMLAB,
        sam.REMEDY,
        server.REMEDY,
        *environment.REMEDIES.values(),
    ]
    commands = re.findall(r'pip install ([^`\n&]*)', '\n'.join([*texts, *sentences]))
    words = [word for command in commands for word in shlex.split(command, comments=True)]
    return sorted({word for word in words if not word.startswith('-')})


@pytest.mark.slow
@pytest.mark.parametrize('requirement', documented_requirements())
def test_pip_accepts_what_is_documented(requirement, required):
    parsed = Requirement(re.sub(r'^\.', 'mmseg_clipsurgery', requirement))  # '.' is the checkout
    assert parsed.extras <= set(required) if parsed.name == 'mmseg_clipsurgery' else not parsed.extras


@pytest.mark.slow
def test_wheel_has_the_console_script(wheel):
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(member(wheel, 'entry_points.txt')).decode())
    assert parser['console_scripts']['mmseg-clipsurgery'] == 'mmseg_clipsurgery.__main__:main'


def member(wheel: zipfile.ZipFile, name: str) -> str:
    return f'mmseg_clipsurgery-{mmseg_clipsurgery.__version__}.dist-info/{name}'


@pytest.mark.slow
def test_source_distribution_builds_and_tests(built):
    with tarfile.open(next(built.glob('*.tar.gz'))) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    for folder in checkout.BUILT_FROM:
        assert {f'{folder}/{name}' for name in files(ROOT / folder)} <= names
    assert {'setup.py', 'pyproject.toml', 'Makefile', 'LICENSE', 'CITATION.cff'} <= names


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_the_package_requires_is_pinned(required):
    lines = (ROOT / 'requirements/clip.txt').read_text().splitlines()
    pinned = {canonicalize_name(line.partition('==')[0]) for line in lines if '==' in line}
    assert required[''] | required['sam'] == pinned


def test_nothing_is_pinned_twice():
    names = [
        canonicalize_name(line.partition('==')[0])
        for name in ('clip', 'tools', 'constraints')
        for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
        if '==' in line
    ]
    assert sorted(names) == sorted(set(names))


def test_every_requirement_is_pinned():
    lines = [line for path in (ROOT / 'requirements').glob('*.txt') for line in path.read_text().splitlines()]
    loose = [line for line in lines if line and line[0] not in '#-' and '==' not in line]
    assert loose == []


def test_the_floor_of_python_is_stated_once():
    """pyproject.toml, README, Makefile and CI say the same."""
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    floor = settings['project']['requires-python'].removeprefix('>=')
    assert f'Python {floor} or newer' in (ROOT / 'README.md').read_text()
    assert f'Python {floor} or newer' in (ROOT / 'Makefile').read_text()
    assert settings['tool']['ruff']['target-version'] == f'py{floor.replace(".", "")}'
    if (ROOT / '.github').is_dir():  # not in a source distribution
        assert f"python: ['{floor}'" in (ROOT / '.github/workflows/ci.yml').read_text()


def test_citation_names_this_version():
    assert f'version: {mmseg_clipsurgery.__version__}\n' in (ROOT / 'CITATION.cff').read_text()


def test_version_is_printed(capsys):
    assert command(['--version']) == 0
    assert capsys.readouterr().out == f'mmseg-clipsurgery {mmseg_clipsurgery.__version__}\n'
