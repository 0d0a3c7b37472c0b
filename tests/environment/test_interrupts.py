"""Signals: they raise, are remembered where they are lost, and leave the handlers as they were."""

import os
import signal
import threading
from contextlib import suppress

from mmseg_clipsurgery.environment import interrupts

import pytest

SIGNALS = pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])


@SIGNALS
def test_a_signal_raises_and_is_known(number):
    before = signal.getsignal(number)
    with interrupts.heeded() as signals:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        assert signals == [number]
        assert interrupts.received()
    assert signal.getsignal(number) is before


def test_a_signal_that_was_lost_is_raised_later():
    with interrupts.heeded():
        interrupts.check()
        with suppress(BaseException):  # as MMEngine does
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_a_block_knows_its_own_signals_alone():
    with interrupts.heeded() as signals, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    with interrupts.heeded() as signals:
        assert signals == []


def test_other_threads_are_told_nothing():
    found = []

    def work() -> None:
        with interrupts.heeded() as signals:
            found.append(signals)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]]
