"""Inputs tried in forked workers with limits of time and memory; what became of each is a line of a file.

A worker that dies or hangs takes one input along; another one goes on behind it. The file is what a second start goes
on from.
"""

import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from campaign.inputs import Input, Lost, Wrong
from mmseg_clipsurgery.environment.mistakes import is_mistake, sentence

FAULTS = ('traceback', 'hang', 'wrong', 'lost', 'executed')
LIMIT = 120  # seconds for an input, on a busy machine
MEMORY = 3 << 30  # bytes that a worker may take beyond what it starts with
ROUND = 400  # inputs of one worker


def tried(kind: ModuleType, context: Any, seed: int, number: int, raises: bool = False) -> dict[str, Any]:
    """What became of one input: its number, label, outcome, a reason, and seconds of CPU."""
    folder, start = Path(tempfile.mkdtemp(prefix='campaign-')), cpu()
    given = Input(Random(f'{seed} {kind.__name__} {number}'), folder)
    try:
        outcome, reason = judged(kind, context, given, raises)
        if given.mark.exists():
            outcome = 'executed'
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return dict(
        number=number, label=given.label.strip(), outcome=outcome, reason=reason, cpu=round(cpu() - start, 4)
    )


def judged(kind: ModuleType, context: Any, given: Input, raises: bool) -> tuple[str, str]:
    """(Outcome, reason) of an input."""
    try:
        kind.trial(context, given)
        return 'accepted', ''
    except Wrong as error:
        return 'wrong', str(error)[:300]
    except Lost as error:
        return 'lost', str(error)[:300]
    except BaseException as error:
        if is_sentence(error):
            return 'refused', sentence(error)[:200]
        if raises:
            raise
        return 'traceback', ''.join(traceback.format_exception(error))[-1500:]


def is_sentence(error: BaseException) -> bool:
    """Whether every command prints this error as one sentence."""
    if not is_mistake(error):
        return False
    assert isinstance(error, Exception)
    text = sentence(error)
    return bool(text) and len(text) < 2000 and 'Traceback' not in text and 'weights_only=False' not in text


def tried_in_workers(kind: ModuleType, seed: int, numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
    """`tried` for each of the numbers, in workers."""
    left = list(numbers)
    while left:
        pid, stream = forked(kind, seed, left[:ROUND])
        limit = getattr(kind, 'LIMIT', LIMIT)
        started, buffer = time.monotonic(), b''
        while True:
            ready, _, _ = select.select([stream], [], [], max(0.0, started + limit - time.monotonic()))
            data = os.read(stream, 1 << 20) if ready else b''
            if not data:
                break
            *lines, buffer = (buffer + data).split(b'\n')
            for line in lines:
                found = json.loads(line)
                if 'number' in found:
                    left.pop(0)
                    yield found
                started = time.monotonic()
        os.close(stream)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
        if not ready or status:
            reason = 'killed at its limit' if not ready else f'the worker died ({status})'
            outcome = 'traceback' if ready else 'hang'
            spent = round(used.ru_utime + used.ru_stime, 2)
            yield dict(
                number=left.pop(0), label='', outcome=outcome, reason=reason, cpu=0.0 if ready else spent
            )


def forked(kind: ModuleType, seed: int, numbers: list[int]) -> tuple[int, int]:
    """(Process, pipe) of a worker that tries these numbers."""
    sys.stdout.flush()
    reads, writes = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writes)
        return pid, reads
    code = 1
    try:
        os.close(reads)
        limit_worker()
        context = kind.prepare()
        os.write(writes, b'{}\n')
        for number in numbers:
            os.write(writes, json.dumps(tried(kind, context, seed, number)).encode() + b'\n')
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


def limit_worker() -> None:
    """Bound a worker's memory, and let what the package prints and logs go nowhere."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


def cpu() -> float:
    """Seconds of CPU of this process and of those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
