"""Logs of one run: whole while it lasts, gone with it.

MMEngine keeps loggers, message hubs, visualisers and scopes by name for as long as the process lives. A second run
would meet those of the first: a logger whose file is another run's and whose stream is closed, a visualiser that
writes into the first run's folder. So what a run makes is taken out when it ends, and its files are closed.

Where a disk is full a log is told to be cut, in a line, and the run goes on; what else can't be written ends it.
"""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from mmengine.dist import get_rank
from mmengine.logging import MMLogger
from mmengine.utils import ManagerMixin

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OUTPUT = 'output.txt'  # in the work folder of a quiet run: what it would have printed


@contextmanager
def run_logs(folder: str | Path, quiet: bool = False) -> Iterator[None]:
    """Let a run log inside this block; afterwards MMEngine and the package log as before.

    Args:
        folder: the run's work folder.
        quiet: what would be printed goes to `OUTPUT` in it (the first process's; that of the others is dropped).
    """
    with ExitStack() as stack:
        if quiet:
            path = Path(folder, OUTPUT) if get_rank() == 0 else Path(os.devnull)
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(redirect_stdout(stack.enter_context(path.open('w', encoding='utf-8'))))
        stack.enter_context(_naming(folder))
        stack.enter_context(_cut_logs_told())
        stack.enter_context(_own_instances())
        stack.enter_context(_own_log())
        MMLogger.get_instance('mmseg_clipsurgery')  # for what is logged before the Runner has its own
        yield


@contextmanager
def _naming(folder: str | Path) -> Iterator[None]:
    """Let a full disk's error name the work folder, where what MMEngine writes there names nothing."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(folder)
        raise


@contextmanager
def _cut_logs_told() -> Iterator[None]:
    """Say once of each log that it can't be written further; logging itself prints a traceback for every line."""
    usual, told = logging.Handler.handleError, set()

    def tell(handler: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError) or error.errno not in FULL:
            usual(handler, record)
        elif handler not in told:
            told.add(handler)
            name = getattr(handler, 'baseFilename', 'the log')
            print(f'{name} is cut here: {error.strerror}; make room', file=sys.stderr)

    logging.Handler.handleError = tell  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        logging.Handler.handleError = usual  # type: ignore[method-assign]


@contextmanager
def _own_instances() -> Iterator[None]:
    """Take out what is made by name inside this block, and close the files of its loggers."""
    before = {kind: dict(kind._instance_dict) for kind in _managers()}
    try:
        yield
    finally:
        for kind in _managers():
            kept = before.get(kind, {})
            for name in [name for name in kind._instance_dict if name not in kept]:
                made = kind._instance_dict.pop(name)
                for handler in made.handlers if isinstance(made, logging.Logger) else ():
                    with suppress(OSError):  # of a full disk
                        handler.close()


def _managers(kind: Any = ManagerMixin) -> Iterator[Any]:
    """MMEngine's classes whose instances have names, each with a table of its own."""
    yield kind
    for inner in kind.__subclasses__():
        yield from _managers(inner)


@contextmanager
def _own_log() -> Iterator[None]:
    """Print what the package logs (which weights, what is clipped) on the first process, unless others handle it."""
    logger = logging.getLogger('mmseg_clipsurgery')
    if logger.handlers or get_rank() != 0:
        yield
        return
    handler, level = logging.StreamHandler(sys.stdout), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
