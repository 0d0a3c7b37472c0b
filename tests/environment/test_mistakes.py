"""How a command ends: a sentence and an exit code, or the traceback that was asked for."""

import errno
import os
import signal

from mmseg_clipsurgery.environment import mistakes
from mmseg_clipsurgery.environment.interrupts import LAUNCHED
from mmseg_clipsurgery.environment.mistakes import guarded

import pytest


@pytest.fixture(autouse=True)
def usual_environment(monkeypatch):
    for name in ('MMSEG_CLIPSURGERY_DEBUG', 'RANK', LAUNCHED):
        monkeypatch.delenv(name, raising=False)


def raising(error: BaseException):
    def action() -> None:
        raise error

    return action


def killed(number: int, lost: bool = False, then: Exception | None = None):
    """A command that a signal comes to: it ends it, is lost, or comes out as another error."""

    def action() -> None:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            if then:
                raise then from None
            if not lost:
                raise

    return action


SIGNALLED = {
    'an interrupt': (raising(KeyboardInterrupt()), 130),
    'SIGINT': (killed(signal.SIGINT), 130),
    'SIGTERM': (killed(signal.SIGTERM), 143),
    'lost': (killed(signal.SIGINT, lost=True), 130),
    'another error': (killed(signal.SIGINT, then=RuntimeError('a worker exited unexpectedly')), 130),
}


@pytest.mark.parametrize(('action', 'code'), SIGNALLED.values(), ids=SIGNALLED.keys())
def test_a_signal_ends_in_a_sentence_and_its_code(action, code, capsys):
    assert guarded(action) == code
    assert capsys.readouterr().err.strip() == mistakes.STOPPED


@pytest.mark.parametrize(('name', 'value'), [('RANK', '1'), (LAUNCHED, '1')])
def test_one_process_of_several_speaks(name, value, capsys, monkeypatch):
    monkeypatch.setenv(name, value)
    assert guarded(killed(signal.SIGINT)) == 130
    assert capsys.readouterr().err == ''


def test_an_interrupt_shows_where_it_came_in_if_asked():
    with pytest.raises(KeyboardInterrupt):
        guarded(raising(KeyboardInterrupt()), debug=True)


MISTAKES = {
    'a value': (ValueError('got\n3'), 'error: got 3'),
    'a full disk': (OSError(errno.ENOSPC, 'No space', 'a.png'), 'error: a.png: No space; make room, or write to'),
    'no permission': (OSError(errno.EACCES, 'Denied', '/x'), 'error: /x: Denied; name a place of your own'),
    'a file as folder': (OSError(errno.ENOTDIR, 'No', 'a/b'), 'error: a/b: No; a part of this path is a file'),
    'own sentence': (FileNotFoundError('no such folder'), 'error: no such folder'),
}  # fmt: skip


@pytest.mark.parametrize(('error', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_and_the_systems_errors_are_one_sentence(error, message, capsys):
    assert guarded(raising(error)) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count('\n') == 1


@pytest.mark.parametrize(
    'error',
    [RuntimeError('a bug'), OSError('of no kind'), OSError(errno.ECHILD, 'No child'), KeyError(1)],
    ids=repr,
)
def test_bugs_show_their_traceback(error):
    with pytest.raises(type(error)):
        guarded(raising(error))


@pytest.mark.parametrize(
    ('error', 'all_of_them'),
    [
        (OSError(errno.ENOSPC, 'full'), True),
        (OSError(errno.ENOENT, 'none'), False),
        (RuntimeError('x'), False),
    ],
    ids=['full disk', 'missing file', 'other'],
)
def test_what_ends_other_runs_too(error, all_of_them):
    assert mistakes.concerns_all(error) is all_of_them


def test_a_long_sentence_is_shortened_in_its_middle():
    said = mistakes.sentence(ValueError(f'got {"a" * 9000}; give less'))
    assert len(said) < 1600
    assert said.startswith('got aaa')
    assert said.endswith('aaa; give less')
