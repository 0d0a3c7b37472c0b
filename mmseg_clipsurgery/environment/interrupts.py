"""SIGINT and SIGTERM end what a command does, wherever they come in, and are taken for nothing else.

Python raises KeyboardInterrupt in the main thread. Where that is lost (in a finalizer, in a callback of C++), or where
something else fails first (a data loader's worker that had the same signal), the block still knows that a signal came.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LAUNCHED = 'MMSEG_CLIPSURGERY_LAUNCHED'  # in the environment of processes for which `cli.launch` speaks

_received: list[int] = []


@contextmanager
def heeded() -> Iterator[list[int]]:
    """Let the signals raise KeyboardInterrupt inside this block.

    Yields:
        The signals that came, in order. Outside the main thread, which alone can be told, there are none.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    before = {number: signal.signal(number, _receive) for number in SIGNALS}
    _received.clear()
    try:
        yield _received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def received() -> bool:
    """Whether a signal came inside the present block, so that whatever fails has failed by it."""
    return bool(_received)


def check() -> None:
    """Raise KeyboardInterrupt where a signal came that was lost: MMEngine looks at its environment in bare excepts."""
    if _received:
        raise KeyboardInterrupt


def _receive(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def speaks() -> bool:
    """Whether this process is alone, or the first of several whose launcher does not speak for them."""
    return os.environ.get('RANK', '0') == '0' and LAUNCHED not in os.environ
