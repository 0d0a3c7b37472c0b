"""A disk that is full: a sentence with the path, nothing by halves, and the next start goes on."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.mmseg, pytest.mark.slow]
SCRIPT = Path(__file__).parents[1] / 'helpers' / 'full_disk.py'
WHOLE = {
    'photos': {
        f'out/{k}_{kind}' for k in range(4) for kind in ('labels.png', 'segment.png', 'segment.origin.json')
    },
    'leaderboard': {'out/scenes/clip.json', 'out/leaderboard.md', 'out/figures.csv'},
    'log': {'work/results.json', 'work/per_class.csv'},
    'export': {'model.pth'},
}  # what is there at last


def can_mount() -> bool:
    """Whether this user may make a small disk in a namespace of his own."""
    if not shutil.which('unshare'):
        return False
    tried = ['unshare', '-Urm', 'mount', '-t', 'tmpfs', '-o', 'size=4096', 'tmpfs', '/mnt']
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope='module')
def found(tmp_path_factory) -> dict:
    if not can_mount():
        pytest.skip('no small disk can be made here')
    folder = tmp_path_factory.mktemp('full')
    paths = [str(SCRIPT.parents[2]), str(SCRIPT.parent), os.environ.get('PYTHONPATH', '')]
    environment = os.environ | {
        'PYTHONPATH': os.pathsep.join(paths),
        'OMP_NUM_THREADS': '1',
    }
    command = ['unshare', '-Urm', sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize('name', WHOLE)
def test_a_full_disk_is_told_and_left_clean(found, name):
    full = found[name]['full']
    assert full['code'] == 1
    lines = full['errors'].strip().splitlines()
    assert re.match('error: .*/disk/.*: No space left on device', lines[-1])
    assert not re.search('Traceback|Logging error', full['errors'])
    assert not any('.tmp' in file for file in full['files'])
    assert not WHOLE[name] <= full['files'].keys()
    room = found[name]['room']
    same = full['files'].keys() & WHOLE[name]
    assert {file: full['files'][file] for file in same} == {file: room['files'][file] for file in same}


@pytest.mark.parametrize('name', WHOLE)
def test_the_next_start_goes_on(found, name):
    room = found[name]['room']
    assert room['code'] == 0, room['errors']
    assert WHOLE[name] <= room['files'].keys()


def test_a_log_that_is_cut_is_told_in_a_line(found):
    cut = [line for line in found['log']['full']['errors'].splitlines() if 'is cut here' in line]
    assert len(cut) == 1
    assert cut[0].endswith('.log is cut here: No space left on device; make room')
