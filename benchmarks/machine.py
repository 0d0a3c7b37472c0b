"""The kind of machine (no names), the versions, and what the machine can do at best: the yardsticks of the counts."""

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

from mmseg_clipsurgery.evaluation.results import commit, device_name, versions

import torch

from .clock import Clock, rounded

SIDE = 2048  # of the matrices whose product is timed
COPIED = 256 << 20  # bytes


def describe(clock: Clock) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    return {
        'processor': processor(),
        'cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
        'memory_gib': rounded(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30),
        'system': platform.system(),
        'device': device_name(clock.device),
        'threads': torch.get_num_threads(),
        'peak_gflops': rounded(matrix_rate(clock) / 1e9),
        'copy_gb_per_s': rounded(copy_rate(clock) / 1e9),
        'versions': versions(),
        'commit': commit(),
    }


class Others:
    """How busy other processes keep the cores meanwhile: 0 to 1 of all of them (None where /proc/stat is not there)."""

    def __init__(self) -> None:
        self.begun = self.now()

    def share(self) -> float | None:
        """Since this was made."""
        (begun, busy, own), (ended, busier, owner) = self.begun, self.now()
        if busy is None or busier is None:
            return None
        theirs = (busier - busy) - (owner - own)
        return rounded(min(max(theirs / ((ended - begun) * (os.cpu_count() or 1)), 0.0), 1.0))

    @staticmethod
    def now() -> tuple[float, float | None, float]:
        """Seconds: on the wall, of all processes, of this one and its children that have ended."""
        own = sum(os.times()[:4])
        path = Path('/proc/stat')
        if not path.is_file():
            return time.monotonic(), None, own
        user, nice, system = map(int, path.read_text().splitlines()[0].split()[1:4])
        return time.monotonic(), (user + nice + system) / os.sysconf('SC_CLK_TCK'), own


def processor() -> str:
    """Model of the CPU, with what decides its speed."""
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.is_file() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(':') for line in lines)}
    name = fields.get('model name') or platform.processor() or platform.machine()
    numbers = [fields.get(key) for key in ('cpu family', 'model')]
    flags = fields.get('flags', '').split()
    extras = [flag for flag in ('avx2', 'avx512f', 'avx512_bf16', 'amx_tile') if flag in flags]
    family = f'family {numbers[0]} model {numbers[1]}' if all(numbers) else ''
    return ', '.join(part for part in (name, family, *extras) if part)


def matrix_rate(clock: Clock, times: int = 5) -> float:
    """Floating-point operations per second of wall time, fp32 matrix product."""
    matrix = torch.ones(SIDE, SIDE, device=clock.device)
    seconds = [clock.measure(lambda: matrix @ matrix).wall for _ in range(times + 1)][1:]
    return 2 * SIDE**3 / statistics.median(seconds)


def copy_rate(clock: Clock, times: int = 5) -> float:
    """Bytes read and written per second of wall time, by a copy too large for any cache."""
    source = torch.ones(COPIED // 4, device=clock.device)
    target = torch.empty_like(source)
    seconds = [clock.measure(lambda: target.copy_(source)).wall for _ in range(times + 1)][1:]
    return 2 * COPIED / statistics.median(seconds)
