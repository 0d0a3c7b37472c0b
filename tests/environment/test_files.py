"""Files are whole whoever writes them, planted links are not followed, and what killed writers left goes away."""

import errno
import os
import stat
import threading
import time
from pathlib import Path

from mmseg_clipsurgery.environment import files
from mmseg_clipsurgery.environment.files import atomic_write, decoding, read_json, reason

import pytest


def text(content: str):
    return lambda path: path.write_text(content)


@pytest.mark.slow
def test_threads_write_one_path_at_the_same_time(tmp_path):
    errors, contents = [], [str(number) * 5000 for number in range(8)]

    def write(content: str) -> None:
        for _ in range(50):
            try:
                atomic_write(tmp_path / 'new' / 'a.txt', text(content))
            except OSError as error:
                errors.append(error)

    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert (tmp_path / 'new' / 'a.txt').read_text() in contents
    assert os.listdir(tmp_path / 'new') == ['a.txt']


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    """Even where the name can be foretold."""
    monkeypatch.setattr(files.secrets, 'token_hex', lambda count: '0' * 2 * count)
    (tmp_path / 'precious').write_text('kept')
    (tmp_path / files.TEMPORARY.format('0' * 16)).symlink_to(tmp_path / 'precious')
    with pytest.raises(FileExistsError):
        atomic_write(tmp_path / 'a.txt', text('new'))
    assert (tmp_path / 'precious').read_text() == 'kept'


def test_a_failed_write_leaves_the_old_file(tmp_path):
    atomic_write(tmp_path / 'a.txt', text('old'))

    def fail(path: Path) -> None:
        path.write_text('half')
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        atomic_write(tmp_path / 'a.txt', fail)
    assert os.listdir(tmp_path) == ['a.txt']
    assert (tmp_path / 'a.txt').read_text() == 'old'


@pytest.mark.parametrize('function', ['close', 'replace'])
def test_an_interrupt_leaves_nothing(function, tmp_path, monkeypatch):
    real = getattr(os, function)

    def interrupted(*arguments: object) -> None:
        real(*arguments) if function == 'close' else None
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, function, interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / 'a.txt', text('whole'))
    assert os.listdir(tmp_path) == []


def test_a_long_name_and_the_usual_permissions(tmp_path):
    path = tmp_path / ('a' * 251 + '.txt')
    atomic_write(path, text('whole'))
    (tmp_path / 'plain').write_text('')
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / 'plain').stat().st_mode)


def test_what_killed_writers_left_is_removed_when_it_is_old(tmp_path):
    old, new, other = (tmp_path / name for name in (
        files.TEMPORARY.format('0123456789abcdef'), files.TEMPORARY.format('f' * 16), '.other.tmp'
    ))  # fmt: skip
    for path in (old, new, other):
        path.write_text('')
    for path in (old, other):
        os.utime(path, (time.time() - 2 * files.OLD,) * 2)
    atomic_write(tmp_path / 'a.txt', text(''))
    assert sorted(os.listdir(tmp_path)) == sorted([new.name, other.name, 'a.txt'])


@pytest.mark.parametrize(
    'content',
    [b'{', b'\xff', b'[1]', b'3', b'', b'[' * 100_000],
    ids=['half', 'binary', 'list', 'number', 'empty', 'deep'],
)
def test_other_files_are_no_json_object(content, tmp_path):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.json (is not a readable JSON file|holds a)'):
        read_json(tmp_path / 'a.json')


def test_the_reason_is_one_line():
    assert reason(ValueError('one\ntwo')) == 'one'
    assert reason(EOFError()) == 'EOFError'
    with (
        pytest.raises(ValueError, match=r'x\.pt is not a readable thing \(KeyError 3\): fetch it again'),
        decoding('x.pt', 'thing'),
    ):
        raise KeyError(3)


def test_a_long_reason_is_shortened():
    assert reason(ValueError('known: ' + 'a, ' * 1000)) == 'known: ' + 'a, ' * 97 + '...'
    assert reason(ValueError('a' * 1000)) == 'a' * 300 + ' ...'
    assert reason(ValueError('Not found. Please check your connection.')) == 'Not found'


@pytest.mark.parametrize(
    'error', [OSError(errno.ENOSPC, 'full'), RuntimeError('unexpected pos 64 vs 0')], ids=repr
)
def test_what_a_full_disk_refuses_is_named(tmp_path, monkeypatch, error):
    """torch's writer, and those of others, do not say why they fail."""

    def fails(path: Path) -> None:
        raise error

    monkeypatch.setattr(files, 'is_full', lambda folder: True)
    with pytest.raises(OSError, match=r"a\.txt'$") as caught:
        atomic_write(tmp_path / 'a.txt', fails)
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []


def test_an_error_of_another_reason_stays(tmp_path):
    with pytest.raises(KeyError):
        atomic_write(tmp_path / 'a.txt', lambda path: {}['a'])
