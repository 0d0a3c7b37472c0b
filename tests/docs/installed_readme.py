"""README as its reader meets it: the wheel in a fresh environment, its commands in an empty folder, in order.

    make test-readme

pip fills the environment from a package index, at the tested versions, which takes longer than all that is run in it:
so this file is not among those that `make test` collects. The reader's weights and data sets have stand-ins: a folder
with a tiny CLIP for OpenAI's ViT-B-16, five noisy pictures for PASCAL VOC, eight scenes for data of one's own. Whatever
README says of commands is either run here or has its reason in `ELSEWHERE`.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import checkout
import doc_blocks
import mini_voc
import photos
from mmseg_clipsurgery import scenes

import numpy as np
import pytest
from PIL import Image

ROOT = doc_blocks.ROOT
README = (ROOT / 'README.md').read_text(encoding='utf-8')
BLOCKS = doc_blocks.blocks_of(ROOT / 'README.md')
OF_A_CLONE = ('Makefile', 'configs', 'pyproject.toml', 'requirements', 'setup.py', 'tools')
TEST = 'python tools/test.py configs/clipsurgery_voc.py --data-root data/VOCdevkit/VOC2012'
WEIGHTS = 'model.backbone.arch=clip model.text_encoder.arch=clip model.pretrained=clip'
EIGHT = 'test_dataloader.dataset.indices=8'
# What README says -> the command that is run, with stand-ins at its end; options alone belong to `TEST`.
RUN = {
    'make demo': 'make demo VENV={environment}',
    TEST: f'{TEST} --cfg-options {WEIGHTS}',
    '--cfg-options model.backbone.surgery=sclip': f'{TEST} --cfg-options model.backbone.surgery=sclip {WEIGHTS}',
    '--cfg-options "model.backbone.surgery=[clip,sclip,clip_surgery]"': (
        f'{TEST} --cfg-options "model.backbone.surgery=[clip,sclip,clip_surgery]" {WEIGHTS}'
    ),
    '--cfg-options model.backbone.surgery.last_blocks=3': (
        f'{TEST} --cfg-options model.backbone.surgery.last_blocks=3 {WEIGHTS}'
    ),
    'python tools/leaderboard.py --import my_method.py --methods mine clip_surgery --data-sets scenes ./my_data.py': (
        'python tools/leaderboard.py --import my_method.py --methods mine clip_surgery --data-sets scenes ./my_data.py '
        f'--backbones scenes:scenes --out own --cfg-options {EIGHT}'
    ),
    '--show-dir pictures': f'{TEST} --show-dir pictures --cfg-options {WEIGHTS}',
    'bash tools/dist_test.sh configs/clipsurgery_voc.py 4': (
        'bash tools/dist_test.sh configs/clipsurgery_voc.py 2 --data-root data/VOCdevkit/VOC2012 --cfg-options '
        f'{WEIGHTS}'
    ),
    '--cfg-options test_dataloader.batch_size=16 model.test_cfg.window_batch=96 model.test_cfg.precision=bf16': (
        f'{TEST} --cfg-options test_dataloader.batch_size=16 model.test_cfg.window_batch=96 '
        f'model.test_cfg.precision=bf16 {WEIGHTS}'
    ),
    'python -m mmseg_clipsurgery segment --help': 'python -m mmseg_clipsurgery segment --help',
    'python -m mmseg_clipsurgery doctor': 'python -m mmseg_clipsurgery doctor',
    'python -m mmseg_clipsurgery export CONFIG model.pth': (
        f'python -m mmseg_clipsurgery export config.py model.pth --cfg-options {WEIGHTS}'
    ),
    'python tools/leaderboard.py --data-sets scenes scenes_heldout --readme README.md': (
        'python tools/leaderboard.py --data-sets scenes scenes_heldout --readme README.md'
    ),
}
ELSEWHERE = {
    'pip install .': 'the fixture `environment`, with the wheel in place of the clone',
    'pip install ".[onedl]"': 'the fixture `environment`, with the wheel in place of the clone',
    'pip install ".[openmmlab]"': '`make test-openmmlab`',
    'pip install --no-build-isolation mmcv==2.1.0': 'compiles for half an hour; `make test-openmmlab` has mmcv-lite',
    'make coverage': 'the other tests, with their lines counted',
    'make web': 'serves for ever; `make test-web` opens the page in a browser',
    'make docs': '.ci/run',
    'make test-openmmlab': 'a workflow of its own',
    'mmseg-clipsurgery web': '`make test-web`',
    'python tools/benchmark.py --device cuda --photos VOC_FOLDER --out results/performance_cuda.json': 'needs a GPU',
    'python tools/leaderboard.py': 'ten data sets with the real weights: days; its other form is run',
    'SCENES=200 python -m pytest tests/inference/test_precision.py -s': 'a test of its own, on fewer scenes',
}


def said() -> list[str]:
    """The commands of README, in their order: lines of its blocks without a language, and code within sentences."""
    fenced = [line for block in BLOCKS if not block.language for line in block.text.splitlines()]
    prose = re.sub(r'```.*?```', '', README, flags=re.DOTALL)
    inline = re.findall(r'`((?:python|pip|make|bash|mmseg-clipsurgery|--\w|\w+=\d+ python)[^`]*)`', prose)
    return [re.sub(r'\s+#.*', '', line).strip() for line in [*fenced, *inline] if ' ' in line]


@pytest.fixture(scope='module')
def environment(tmp_path_factory) -> Path:
    """An environment with nothing but what `pip install ".[onedl]"` brings, at the tested versions."""
    place = tmp_path_factory.mktemp('fresh')
    checkout.build(checkout.copy_to(tmp_path_factory.mktemp('clone')), place, 'wheel')
    (wheel,) = place.glob('*.whl')
    texts = [(ROOT / f'requirements/{name}.txt').read_text() for name in ('onedl', 'clip', 'constraints')]
    pins = [line for text in texts for line in text.splitlines() if '==' in line]
    (place / 'pins.txt').write_text('\n'.join(pins))
    venv.create(place / 'environment', with_pip=False)
    python = place / 'environment/bin/python'
    install = ['install', '--quiet', '--no-compile', '--constraint', place / 'pins.txt', f'{wheel}[onedl]']
    subprocess.run([sys.executable, '-m', 'pip', '--python', python, *install], check=True)
    (place / 'environment/installed').touch()  # so that make leaves it as it is
    return place / 'environment'


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """What the reader has: the clone's files without the package, a photo, data, weights, a method of his own."""
    place, shipped = tmp_path_factory.mktemp('reader'), scenes.ensure()
    for name in OF_A_CLONE:
        (place / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / 'README.md', place)
    Image.open(shipped / 'JPEGImages/val_029.png').save(place / 'photo.png')
    mini_voc.make(place / 'data/VOCdevkit/VOC2012')
    photos.folder(place / 'clip', mini_voc.TINY_CLIP)
    config = {'model_cfg': mini_voc.TINY_CLIP}  # pixel statistics are OpenAI's where none are stated
    (place / 'clip/open_clip_config.json').write_text(json.dumps(config))
    for kind, own in (('JPEGImages', 'images'), ('SegmentationClass', 'masks')):
        (place / 'my_scenes' / own).mkdir(parents=True)
        for file in sorted((shipped / kind).glob('val_*.png'))[:8]:
            shutil.copy(file, place / 'my_scenes' / own)
    for block in doc_blocks.blocks_of(ROOT / 'docs/extend.md'):
        if block.file in ('my_method.py', 'my_data.py'):
            (place / block.file).write_text(block.text)
    (place / 'config.py').write_text(next(block.text for block in BLOCKS if 'custom_imports' in block.text))
    return place


def run(environment: Path, folder: Path, *words: str) -> str:
    """What a command prints; it must end well."""
    away = ('PYTHONPATH', 'PYTHONHOME', 'VIRTUAL_ENV')
    variables = {name: value for name, value in os.environ.items() if name not in away}
    variables['PATH'] = f'{environment / "bin"}{os.pathsep}{variables["PATH"]}'
    done = subprocess.run(
        words, cwd=folder, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, f'{shlex.join(words)}\n{done.stdout}'
    return done.stdout


def test_every_command_is_run_here_or_elsewhere():
    assert set(said()) == {*RUN, *ELSEWHERE}


def test_the_wheel_is_what_is_imported(environment, folder):
    code = 'import mmseg_clipsurgery; print(mmseg_clipsurgery.__file__)'
    assert run(environment, folder, 'python', '-c', code).strip().startswith(str(environment))


def test_the_five_lines_save_labels_and_a_figure(environment, folder):
    run(
        environment,
        folder,
        'python',
        '-c',
        next(block.text for block in BLOCKS if block.language == 'python'),
    )
    labels = np.asarray(Image.open(folder / 'labels.png'))
    assert labels.shape == (96, 96)
    assert set(np.unique(labels)) <= set(range(4))
    assert Image.open(folder / 'figure.png').size[0] > 96


@pytest.mark.parametrize('command', RUN)
def test_command_runs(environment, folder, command):
    run(environment, folder, *shlex.split(RUN[command].format(environment=environment)))


def test_the_table_is_what_its_command_gives(folder):
    """After the commands above: the figures of the scenes come out again."""
    assert (folder / 'README.md').read_text(encoding='utf-8') == README
