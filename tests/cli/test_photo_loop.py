"""Batches, threads, shards and several processes give the bytes of one process, one photo at a time."""

import argparse
import json
import os
import socket
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import forked
import photos
import tiny
from mmseg_clipsurgery.__main__ import main
from mmseg_clipsurgery.api.model import SurgeryModel
from mmseg_clipsurgery.cli import photo_process
from mmseg_clipsurgery.cli.task import Question

import pytest
import torch

ARCH = tiny.changed(photos.ARCH, vision_cfg={'layers': 6, 'image_size': 24})
ONE_BY_ONE = ('--batch', '1', '--threads', '0')
TASKS = {
    'segment': ('--words', 'background: sky', 'cat', 'dog', '--prob-thd', '0.1', '--json'),
    'one word': ('--words', 'cat', '--json'),
    'presence': ('--words', 'cat', 'dog', 'sky', '--min-presence', '0.5'),
    'heatmaps': ('--words', 'cat', 'dog', '--json'),
    'points': ('--word', 'cat+dog'),
    'recognise': ('--words', 'cat', 'dog'),
}


@pytest.fixture(scope='module')
def clip(tmp_path_factory) -> Path:
    return photos.folder(tmp_path_factory.mktemp('clip'), ARCH)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Eleven photos of three sizes, two of which are one to the tower, and one that can't be read."""
    where = tmp_path_factory.mktemp('photos')
    for seed in range(11):
        height = (30, 60, 40)[seed % 3]
        photos.save(where / f'{seed:02}.png', photos.photo(height, 44 if height < 60 else 88, seed))
    (where / '04.jpg').write_text('no photo')
    return where


@pytest.fixture(scope='module')
def alone(clip, folder, tmp_path_factory):
    """From a task to its results by one process, one photo at a time."""

    @cache
    def answered(task: str) -> dict[str, bytes]:
        out = tmp_path_factory.mktemp('alone')
        assert main(command(clip, folder, out, task, *ONE_BY_ONE)) == 3
        return results(out)

    return answered


@pytest.fixture
def ask(clip, folder, tmp_path, monkeypatch):
    """Runs a task on the folder; the exit code."""
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))

    def run(*words: str, out: str = 'out', task: str = 'segment') -> int:
        return main(command(clip, folder, tmp_path / out, task, *words))

    return run


def command(clip: Path, folder: Path, out: Path, task: str, *words: str) -> list[str]:
    name = task if task in ('heatmaps', 'points', 'recognise') else 'segment'
    model = ['--arch', str(clip), '--templates', 'bare', '--device', 'cpu']
    return [name, str(folder), '--out', str(out), *model, *TASKS[task], *words]


def results(folder: Path) -> dict[str, bytes]:
    """The files of a folder, but for what says where photos and weights lie and how many shards there were."""
    files = [path for path in sorted(folder.rglob('*')) if path.is_file()]
    return {path.name: path.read_bytes() for path in files if 'shards' not in path.name}


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_batches_and_threads_give_the_same_bytes(ask, alone, tmp_path, task):
    assert ask(task=task) == 3
    assert results(tmp_path / 'out') == alone(task)


@pytest.mark.slow
def test_threads_that_write_give_the_same_bytes(ask, alone, tmp_path, monkeypatch):
    """As they do beside a GPU."""
    monkeypatch.setattr(photo_process, 'at_once', lambda *_: (1, 3))
    assert ask() == 3
    assert results(tmp_path / 'out') == alone('segment')


@pytest.mark.slow
def test_shards_give_the_same_bytes_and_resume(ask, alone, tmp_path, capsys):
    expected = alone('segment')
    capsys.readouterr()
    assert [ask('--shard', f'{index}/3') for index in (2, 0, 1)] == [0, 0, 3]
    assert capsys.readouterr().out.count('4 photos answered, results in ') == 2
    assert ask('--shard', '0/3') == 0
    assert '0 photos answered, results in ' in capsys.readouterr().out
    assert ask() == 3
    assert '11 were answered already' in capsys.readouterr().out
    assert results(tmp_path / 'out') == expected


@pytest.mark.slow
def test_processes_of_torchrun_give_the_same_bytes(ask, alone, clip, folder, tmp_path):
    pytest.importorskip('pycocotools')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    common = {**os.environ, 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}
    words = [
        '-m',
        'mmseg_clipsurgery',
        *command(clip, folder, tmp_path / 'out', 'segment', '--format', 'coco'),
    ]
    first, second = forked.run_together(
        words, tmp_path, [{**common, 'RANK': rank, 'LOCAL_RANK': rank} for rank in '01']
    )
    assert (first.returncode, second.returncode) == (3, 0), first.stdout + second.stdout
    assert '11 photos answered, results in ' in first.stdout
    assert first.stdout.splitlines()[-1].startswith(f'not answered: {folder / "04.jpg"}')
    assert 'answered' not in second.stdout
    found = results(tmp_path / 'out')
    images = json.loads(found.pop('coco.json'))['images']
    assert [image['file_name'] for image in images] == [f'{seed:02}.png' for seed in range(11)]
    assert found == alone('segment')


@pytest.mark.slow
@pytest.mark.parametrize('fail', [torch.OutOfMemoryError, ValueError])
def test_a_batch_that_fails_is_asked_photo_by_photo(ask, alone, tmp_path, monkeypatch, capsys, fail):
    """One photo of a batch can't be answered; the others are, by themselves."""
    expected = alone('segment')
    right, asked = SurgeryModel.segment, []
    bad = photos.photo(30, 44, 3)[0, 0].tolist()

    def segment(self, pixels, *given, **settings):
        asked.append(len(pixels))
        if any(photo[0, 0].tolist() == bad for photo in pixels):
            raise fail('odd')
        return right(self, pixels, *given, **settings)

    monkeypatch.setattr(SurgeryModel, 'segment', segment)
    assert ask() == 3
    lines = capsys.readouterr().err.splitlines()[-2:]
    assert [Path(line.split()[2].rstrip(':')).name for line in lines] == ['03.png', '04.jpg']
    grey = int(fail is ValueError)  # asked whether the question fails on every photo
    assert asked == [8, *[1] * (8 + grey), 3]
    left = {name: data for name, data in expected.items() if not name.startswith('03_')}
    assert results(tmp_path / 'out') == left


@pytest.mark.parametrize(
    ('device', 'of_patches', 'keeps_bits', 'expected'),
    [
        ('cpu', True, True, (8, 0)),
        ('cpu', True, False, (1, 0)),
        ('cpu', False, True, (1, 0)),
        ('cuda', True, False, (8, 2)),
        ('cuda', False, False, (8, 2)),
    ],
)
def test_what_is_done_at_once(device, of_patches, keeps_bits, expected):
    question = Question(ask=lambda model, given: [], of_patches=of_patches)
    encoders = SimpleNamespace(device=torch.device(device), batch_keeps_bits=lambda batch: keeps_bits)
    assert photo_process.at_once(argparse.Namespace(batch=8, threads=2), question, encoders, 99) == expected


MISTAKES = {
    'shard': (('--shard', '3/2'), "--shard must be I/N, two whole numbers with I from 0 to N - 1, got '3/2'"),
    'coco': (('--shard', '0/2', '--format', 'coco'), '--format coco and --labels need all; leave them out'),
    'batch': (('--batch', '0'), '--batch must be'),
    'threads': (('--threads', '-1'), '--threads must be'),
}


@pytest.mark.parametrize(('words', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_sentence(ask, tmp_path, capsys, words, message):
    if 'coco' in words:
        pytest.importorskip('pycocotools')
    assert ask(*words) == 1
    captured = capsys.readouterr()
    assert message in captured.err.splitlines()[-1]
    assert 'Traceback' not in captured.err
    assert not (tmp_path / 'out').exists()


def test_shard_and_torchrun_are_one_too_many(ask, monkeypatch, capsys):
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert ask('--shard', '0/2') == 1
    assert 'which divides the photos itself; give one of the two' in capsys.readouterr().err
