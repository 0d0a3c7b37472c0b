"""Commands on a disk that is full, and again when there is room: what they say and leave, as JSON.

unshare -Urm python full_disk.py FOLDER         FOLDER becomes a small disk of its own, gone with the process
"""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import photos
from mmseg_clipsurgery import test
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.cli import leaderboard

WORDS = ['--arch', 'scenes', '--words', 'fish', 'car']
TWO_IMAGES = ['--cfg-options', 'test_dataloader.num_workers=0', 'test_dataloader.dataset.indices=2']


def commands(folder: Path) -> dict:
    """Name -> (what is called, its arguments, bytes of the disk, bytes with which it goes on)."""
    disk, other = folder / 'disk', folder / 'other'
    made = [str(disk / 'out'), '--work-dir', str(other / 'work')]
    return {
        'photos': (
            main,
            ['segment', str(folder / 'photos'), *WORDS, '--out', str(disk / 'out')],
            100_000,
            10_000_000,
        ),
        'leaderboard': (
            leaderboard.main,
            ['--methods', 'clip', '--data-sets', 'scenes', *TWO_IMAGES, '--out', *made],
            4096,
            10_000_000,
        ),
        'log': (
            test.main,
            ['clipsurgery_scenes', '--work-dir', str(disk / 'work'), *TWO_IMAGES],
            4096,
            10_000_000,
        ),
        'export': (main, ['export', 'clipsurgery_scenes', str(disk / 'model.pth')], 100_000, 30_000_000),
    }


def called(command, arguments: list[str]) -> dict:
    """Exit code, what it printed as errors, and the files that are there afterwards, with their sizes."""
    errors = io.StringIO()
    with redirect_stderr(errors), redirect_stdout(io.StringIO()):
        code = command(arguments)
    return {'code': code, 'errors': errors.getvalue()}


def files(folder: Path) -> dict[str, int]:
    """The files of a folder, with their sizes."""
    return {
        str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob('*') if path.is_file()
    }


def mount(disk: Path, size: int, *options: str) -> None:
    subprocess.run(['mount', *options, '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(disk)], check=True)


def act(folder: Path) -> dict:
    """Each command on its full disk and with room."""
    disk = folder / 'disk'
    disk.mkdir()
    for seed in range(4):
        photos.save(folder / 'photos' / f'{seed}.png', photos.photo(60, 80, seed))
    found = {}
    for name, (command, arguments, small, large) in commands(folder).items():
        mount(disk, small)
        full = called(command, arguments) | {'files': files(disk)}
        subprocess.run(['mount', '-o', f'remount,size={large}', str(disk)], check=True)
        found[name] = {'full': full, 'room': called(command, arguments) | {'files': files(disk)}}
        subprocess.run(['umount', str(disk)], check=True)
    return found


if __name__ == '__main__':
    print(json.dumps(act(Path(sys.argv[1]))))
