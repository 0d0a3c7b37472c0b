"""How every command tells a mistake: one sentence.

A user's mistake (ValueError, FileNotFoundError) ends in `error: ...` and exit code 1, and so does a requirement that is
not met: an ImportError with a sentence of its own (those of the import system name a module). An interrupt (Ctrl+C)
ends in a sentence and exit code 130. `--debug` or MMSEG_CLIPSURGERY_DEBUG=1 shows the traceback instead. Any other
exception is a bug and always prints its traceback.
"""

import os
import re
import sys
from collections.abc import Callable

INTERRUPTED = 130  # a shell's exit code for SIGINT
STOPPED = 'stopped by an interrupt; nothing that was written whole is lost'


def guarded(action: Callable[[], object], debug: bool = False, stopped: str = STOPPED) -> int:
    """Run a command; its exit code.

    Args:
        action: what the command does.
        debug: show tracebacks.
        stopped: what is printed at an interrupt.
    """
    try:
        action()
    except KeyboardInterrupt:
        if shows_traceback(debug):
            raise
        print(f'\n{stopped}', file=sys.stderr)
        return INTERRUPTED
    except (ValueError, FileNotFoundError, ImportError) as error:
        is_bug = isinstance(error, ImportError) and error.name is not None
        if is_bug or shows_traceback(debug):
            raise
        print(f'error: {sentence(error)}', file=sys.stderr)
        return 1
    return 0


def shows_traceback(debug: bool) -> bool:
    """Whether a traceback was asked for, on the command line or in the environment."""
    return debug or os.environ.get('MMSEG_CLIPSURGERY_DEBUG', '0') not in ('', '0')


def sentence(error: Exception) -> str:
    """An error's message on one line, without what data loaders and registries put around it."""
    text = str(error).strip()
    if 'Original Traceback' in text:
        text = re.sub(r'^[\w.]+(Error|Exception|File): ', '', text.splitlines()[-1])
    text = re.sub(r'^(class `\w+` in \S+: )+', '', text)
    return ' '.join(text.split())
