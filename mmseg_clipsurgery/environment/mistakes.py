"""How every command tells a mistake: one sentence.

A user's mistake (ValueError, FileNotFoundError) ends in `error: ...` and exit code 1, and so does a requirement that is
not met: an ImportError with a sentence of its own (those of the import system name a module), a disk that is full, a
folder that can't be written. An interrupt (Ctrl+C) ends in a sentence and exit code 130, SIGTERM in 143. `--debug` or
MMSEG_CLIPSURGERY_DEBUG=1 shows the traceback instead. Any other exception is a bug and always prints its traceback.
"""

import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence

from .interrupts import heeded, received, speaks

SIGNALLED = 128  # a shell's exit code for a signal: so much more than its number
STOPPED = 'stopped by an interrupt; nothing that was written whole is lost'
LONGEST = 1500  # characters of a sentence: what was got may be of any length
REMEDIES = {  # of the system's errors that are no bug
    errno.ENOSPC: 'make room, or write to another place',
    errno.EDQUOT: 'make room, or write to another place',
    errno.EFBIG: 'raise the limit of file sizes, or write to another place',
    errno.EACCES: 'name a place of your own, or have its permissions changed',
    errno.EPERM: 'name a place of your own, or have its permissions changed',
    errno.EROFS: 'write to another place',
    errno.ENOTDIR: 'a part of this path is a file; name a folder',
    errno.EISDIR: 'it is a folder; name a file',
    errno.EEXIST: 'name another place',
    errno.ENAMETOOLONG: 'give a shorter name',
    errno.ELOOP: 'it is a link to itself; remove it',
    errno.ENOENT: 'check the path',
    errno.EIO: 'check the disk',
    errno.EMFILE: 'raise the limit of open files (ulimit -n)',
    errno.ENOMEM: 'make memory free',
}


def guarded(action: Callable[[], object], debug: bool = False, stopped: str = STOPPED) -> int:
    """Run a command; its exit code.

    Args:
        action: what the command does.
        debug: show tracebacks.
        stopped: what is printed at an interrupt.
    """
    with heeded() as signals:
        try:
            action()
        except BaseException as error:
            if shows_traceback(debug):
                raise
            if signals or isinstance(error, KeyboardInterrupt):
                return interrupted(signals, stopped)
            if not is_mistake(error):
                raise
            print(f'error: {sentence(error)}', file=sys.stderr)
            return 1
        return interrupted(signals, stopped) if signals else 0


def interrupted(signals: Sequence[int], stopped: str) -> int:
    """Print what an interrupt ends in; the exit code."""
    if speaks():
        print(f'\n{stopped}', file=sys.stderr)
    return SIGNALLED + (signals[0] if signals else signal.SIGINT)


def is_mistake(error: BaseException) -> bool:
    """Whether an error is the user's, or the system's, and ends in a sentence."""
    if isinstance(error, ImportError):
        return error.name is None
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in REMEDIES
    return isinstance(error, ValueError | FileNotFoundError)


def concerns_all(error: BaseException) -> bool:
    """Whether what failed one of many runs ends the others too: a signal, whatever it came out as, or a full disk."""
    return received() or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    )


def shows_traceback(debug: bool) -> bool:
    """Whether a traceback was asked for, on the command line or in the environment."""
    return debug or os.environ.get('MMSEG_CLIPSURGERY_DEBUG', '0') not in ('', '0')


def sentence(error: BaseException) -> str:
    """An error's message on one line, without what data loaders and registries put around it."""
    if isinstance(error, OSError) and error.errno in REMEDIES:
        place = error.filename2 or error.filename  # of a file that is renamed, its new name
        where = f'{place}: ' if place else ''
        return shortened(f'{where}{error.strerror}; {REMEDIES[error.errno]}')
    text = str(error).strip()
    if 'Original Traceback' in text:
        text = re.sub(r'^[\w.]+(Error|Exception|File): ', '', text.splitlines()[-1])
    text = re.sub(r'^(class `\w+` in \S+: )+', '', text)
    return shortened(' '.join(text.split()))


def shortened(text: str) -> str:
    """A sentence without the middle of what is too long."""
    return text if len(text) <= LONGEST else f'{text[: LONGEST - 200]} ... {text[-200:]}'
