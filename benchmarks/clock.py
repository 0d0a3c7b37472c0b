"""Seconds of interleaved variants: one run, every variant in every round, so that ratios survive a busy machine.

CPU: seconds of processor time over all threads of this process. CUDA: seconds between two events on the device. Beside
them wall seconds. The order of the variants turns by one each round.

Medians are given with the interval between two order statistics that holds the true median with at least 95 %,
whatever the distribution (from the binomial of n fair coins); below 6 rounds there is none, and the label_range stand
for it.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

CONFIDENCE = 0.95


class Cost(NamedTuple):
    """Seconds of one call: of the processor or device, and on the wall."""

    seconds: float
    wall: float


class Clock:
    """Measures calls on one device."""

    def __init__(self, device: torch.device):
        self.device = device

    def measure(self, call: Callable[[], Any]) -> Cost:
        if self.device.type == 'cuda':
            return self._on_cuda(call)
        wall, processor = time.perf_counter(), time.process_time()
        call()
        return Cost(time.process_time() - processor, time.perf_counter() - wall)

    def _on_cuda(self, call: Callable[[], Any]) -> Cost:
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(self.device)
        wall = time.perf_counter()
        start.record()
        call()
        stop.record()
        torch.cuda.synchronize(self.device)
        return Cost(start.elapsed_time(stop) / 1000, time.perf_counter() - wall)

    def rounds(
        self, variants: Mapping[str, Callable[[int], Any]], count: int, label: str = ''
    ) -> dict[str, list[Cost]]:
        """Costs of each variant, one a round, after one round that is not counted.

        Args:
            variants: name -> call; called with the number of the round, so that all can take the same photo.
            count: rounds.
            label: named in the progress line.
        """
        names = list(variants)
        costs: dict[str, list[Cost]] = {name: [] for name in names}
        begun = time.perf_counter()
        for number in range(-1, count):
            for place in range(len(names)):
                name = names[(place + number) % len(names)]
                cost = self.measure(lambda name=name, number=number: variants[name](max(number, 0)))
                if number >= 0:
                    costs[name].append(cost)
            progress(label, number + 1, count, time.perf_counter() - begun)
        return costs


def progress(label: str, done: int, total: int, elapsed: float) -> None:
    """One line on the error stream, rewritten; done counts what follows a warm-up."""
    left = elapsed * (total - done) / (done + 1)
    end = '\n' if done == total else '\r'
    print(f'  {label}: {done}/{total}, {elapsed:.0f} s, about {left:.0f} s left   ', end=end, file=sys.stderr)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and its interval, to four significant digits, and the number of values."""
    low, high = interval(values)
    numbers = {'median': statistics.median(values), 'low': low, 'high': high}
    return {**{key: rounded(value) for key, value in numbers.items()}, 'rounds': len(values)}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The narrowest pair of order statistics, symmetric in rank, that holds the median with `CONFIDENCE`."""
    ordered, n = sorted(values), len(values)
    outside, rank = 0.0, 0
    while rank < n // 2:
        outside += 2 * math.comb(n, rank) / 2**n
        if outside > 1 - CONFIDENCE:
            break
        rank += 1
    rank = max(rank - 1, 0)
    return ordered[rank], ordered[n - 1 - rank]


def ratios(costs: Sequence[Cost], to: Sequence[Cost]) -> dict[str, float]:
    """Summary of the seconds' ratio, round by round."""
    return summary([one.seconds / other.seconds for one, other in zip(costs, to, strict=True)])


def rounded(value: float) -> float:
    return float(f'{value:.4g}')
