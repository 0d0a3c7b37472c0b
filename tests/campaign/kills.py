"""Kills (SIGKILL at random moments) of a folder run, the leaderboard and the test tool, and a second start.

Oracle: what the second start leaves is, byte for byte, what a run leaves that nobody disturbed, but for the times and
sizes that a results file states; no temporary file stays once it is old. Each process is forked from one that has
imported all it needs, so that moments are spread over the work and not over the imports.
"""

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import mini_voc
import photos
import tiny
from campaign.inputs import Input, Lost, quietly
from mmseg_clipsurgery import test
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.cli import leaderboard

LIMIT = 600
MOVING = re.compile(
    rb'^\s*"(date|process|cuda|\w*seconds\w*|\w*per_second\w*)": .*$', re.M
)  # lines of results files
ARCH = tiny.changed(photos.ARCH, vision_cfg={'layers': 6, 'image_size': 32, 'patch_size': 16})
WORDS = ['background', *(f'{letter} thing' for letter in 'abcdefghijklmnopqrst')]


def folder_run(data: Path, out: Path) -> tuple[Any, list[Any]]:
    """A command and its arguments: photos and a model from `data`, results to `out`."""
    model = ['--arch', data / 'clip', '--templates', 'bare', '--device', 'cpu']
    return main, [
        'segment',
        data / 'photos',
        *model,
        '--json',
        '--out',
        out,
        '--words',
        'cat',
        'dog',
        'grass',
    ]


def board(data: Path, out: Path) -> tuple[Any, list[Any]]:
    grid = ['--data-sets', data / 'mine.py', '--methods', 'clip', 'clip_surgery', '--one-by-one']
    return leaderboard.main, [
        *grid,
        '--out',
        out,
        '--work-dir',
        f'{out}-work',
        '--cfg-options',
        *options(data),
    ]


def test_tool(data: Path, out: Path) -> tuple[Any, list[Any]]:
    return test.main, [
        data / 'test.py',
        '--out',
        out / 'masks',
        '--work-dir',
        out,
        '--cfg-options',
        *options(data),
    ]


COMMANDS = {'folder run': folder_run, 'leaderboard': board, 'test tool': test_tool}


def options(data: Path) -> list[str]:
    """What puts the tiny CLIP of the folder in place of the config's."""
    weights = data / 'clip/open_clip_model.safetensors'
    return [
        *(f'model.{part}.arch={data / "clip"}' for part in ('backbone', 'text_encoder')),
        *(f'model.{part}.pretrained={weights}' for part in ('backbone', 'text_encoder')),
        *('model.data_preprocessor=None', 'test_dataloader.num_workers=0'),
    ]


def prepare() -> tuple[Path, dict[str, tuple[float, dict[str, bytes]]]]:
    """The data, and of each command how long it takes and what it leaves."""
    data = tiny.folder() / 'kills'
    if not data.exists():
        photos.folder(data / 'clip', ARCH)
        for number in range(12):
            photos.save(data / f'photos/{number}.png', photos.photo(40, 52, number))
        mini_voc.make(data / 'voc')
        config = mini_voc.config(data / 'voc')
        config.model.test_cfg.update(crop_size=(32, 32), stride=(16, 16))
        config.dump(data / 'test.py')
        words = ['background', *(f'{letter} thing' for letter in 'abcdefghijklmnopqrst')]
        (data / 'mine.py').write_text(
            f'words = {words}\ntest_dataloader = {config.test_dataloader.to_dict()}\n'
        )
    references = {}
    for name, command in COMMANDS.items():
        out = data / 'references' / name
        start = time.monotonic()
        run(command(data, out / 'o'), None)
        references[name] = time.monotonic() - start, left_by(out / 'o')
        if len(references[name][1]) < 4:
            raise RuntimeError(f'{name}: the undisturbed run left {sorted(references[name][1])}')
    return data, references


def trial(prepared: Any, given: Input) -> None:
    data, references = prepared
    name = given.random.choice(list(COMMANDS))
    seconds, expected = references[name]
    command = COMMANDS[name](data, given.folder / 'o')
    given.label = name
    for _ in range(given.pick(1, 1, 2, 3)):
        moment = given.random.uniform(0, seconds)
        given.label += f' {moment:.2f}'
        run(command, moment)
    make_old(given.folder)
    run(command, None)
    found = left_by(given.folder / 'o')
    if found != expected:
        names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        lines = [set(one.get(names[0], b'').splitlines()) for one in (found, expected)]
        raise Lost(f'{name}: other than undisturbed: {names[:6]}, first {sorted(lines[0] ^ lines[1])[:4]}')


def run(command: tuple[Any, list[Any]], moment: float | None) -> None:
    """Run a command in a process of its own, killed after so many seconds; None: to its end."""
    pid = os.fork()
    if not pid:
        code = 99
        try:
            code, said = quietly(command[0], *command[1])
            if code:
                os.write(2, said.encode())
        finally:
            os._exit(code)
    if moment is not None:
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if moment is None and status:
        raise Lost(f'the second start ended with {os.waitstatus_to_exitcode(status)}')


def make_old(folder: Path) -> None:
    """Temporary files of killed writers become two hours old."""
    old = time.time() - 7200
    for path in folder.rglob('.*.tmp'):
        os.utime(path, (old, old))


def left_by(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of what a run leaves, but for logs, pictures of tables, and lines of times and sizes."""
    found = {}
    for path in sorted(folder.rglob('*')):
        name = str(path.relative_to(folder))
        if path.is_file() and not re.search(r'\.log$|output\.txt$|vis_data|\d{8}_\d{6}', name):
            data = path.read_bytes()
            if path.suffix == '.py':  # configs state where results go, and are broken into lines by that
                data = b''.join(data.replace(str(folder.parent).encode(), b'').split())
            found[name] = MOVING.sub(b'', data) if path.suffix == '.json' else data
    return found
