"""The page on own methods, data sets and towers: every block is run, every diff applies and does what it says."""

import os
import re
import shutil
import subprocess
import sys

import doc_blocks
from mmseg_clipsurgery import scenes

import pytest

PAGE = doc_blocks.ROOT / 'docs' / 'extend.md'
BLOCKS = doc_blocks.blocks_of(PAGE)
DIFFS = [block for block in BLOCKS if block.language == 'diff']
pytestmark = [pytest.mark.mmseg, pytest.mark.slow]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with a photo and a data set of eight scenes, as the page supposes."""
    place, shipped = tmp_path_factory.mktemp('reader'), scenes.ensure()
    for kind, own in (('JPEGImages', 'images'), ('SegmentationClass', 'masks')):
        (place / 'my_scenes' / own).mkdir(parents=True)
        for file in sorted((shipped / kind).glob('val_*.png'))[:8]:
            shutil.copy(file, place / 'my_scenes' / own)
    (place / 'configs').symlink_to(doc_blocks.ROOT / 'configs')  # the page's reader has a clone
    shutil.copy(shipped / 'JPEGImages' / 'val_029.png', place / 'photo.png')
    return place


def test_every_block_runs_in_order(folder):
    environment = {**os.environ, 'PYTHONPATH': str(doc_blocks.ROOT)}
    ran = 0
    for block in BLOCKS:
        if block.language in ('python', 'console'):
            doc_blocks.run_block(block, folder, environment)
            ran += 1
    assert ran >= 12
    assert (folder / 'segmented' / 'photo_segment.png').is_file()
    results = {path.relative_to(folder).as_posix() for path in folder.glob('my_results/*/*.json')}
    assert {'my_results/scenes/mine.json', 'my_results/my_data/mine_scenes-scenes.json'} <= results
    assert 'My scenes' in (folder / 'my_results' / 'leaderboard.md').read_text()


def applied(diff: str, package) -> None:
    """Apply a diff of the page, whose hunks have no line numbers, to a copy of the package."""
    for part in re.split(r'^--- a/', diff, flags=re.MULTILINE)[1:]:
        name, _, hunks = part.partition('\n')
        file = package.parent / name
        text = file.read_text(encoding='utf-8')
        for hunk in hunks.split('@@\n')[1:]:
            lines = hunk.splitlines()
            before = '\n'.join(line[1:] for line in lines if line[0] in ' -')
            after = '\n'.join(line[1:] for line in lines if line[0] in ' +')
            assert text.count(before) == 1, f'{name}: {before!r} is there {text.count(before)} times'
            text = text.replace(before, after)
        file.write_text(text, encoding='utf-8')


CHECKS = (
    'import mmseg_clipsurgery; '
    'assert mmseg_clipsurgery.load("scenes", surgery="mine").surgery_name == "mine"; '
    'from mmseg_clipsurgery.clip.families import FAMILIES; assert "average_timm_vit" in FAMILIES'
)


def test_diffs_apply_and_work(tmp_path):
    """That of a surgery and that of a tower."""
    package = tmp_path / 'mmseg_clipsurgery'
    shutil.copytree(doc_blocks.ROOT / package.name, package, ignore=shutil.ignore_patterns('__pycache__'))
    tower = next(block.text for block in BLOCKS if block.file == 'my_tower.py')
    own_file = tower.replace('from mmseg_clipsurgery.clip.families import FAMILIES\n', '')
    own_file = own_file.partition("FAMILIES['")[0].rstrip() + '\n'
    (package / 'clip' / 'average_timm_vit.py').write_text(own_file, encoding='utf-8')
    assert len(DIFFS) == 2
    for diff in DIFFS:
        applied(diff.text, package)
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    command = [sys.executable, '-c', CHECKS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
