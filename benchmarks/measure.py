"""Rounds of interleaved variants: every variant in every round, so that ratios survive a busy machine.

seconds   CPU: processor seconds of all threads and of ended child processes; CUDA: between two events on the device
wall      seconds on the wall
GFLOP     as `torch.utils.flop_counter` counts them
GB        operands and results of every operator that is no view, as if nothing stayed in a cache

A figure is {median, low, high, rounds}: low and high are the two order statistics that hold the true median with at
least 95 %, whatever the distribution (binomial of n fair coins); below 6 rounds they are the extremes.
"""

import math
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

SPAWN = multiprocessing.get_context('spawn')
FREE = {'aten::_unsafe_view', 'aten::empty', 'aten::new_empty', 'aten::empty_like', 'aten::detach'}
FUSED, FUSED_ON_CPU = '_scaled_dot_product_flash_attention', '_scaled_dot_product_flash_attention_for_cpu'
flop_registry.setdefault(getattr(torch.ops.aten, FUSED_ON_CPU), flop_registry[getattr(torch.ops.aten, FUSED)])
Call = Callable[
    [int], Any
]  # called with the number of the round, so that all variants can take the same photo
Figure = dict[str, float]
Section = tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Any]]  # rows of columns, and facts beside them


class Measured(NamedTuple):
    """Of each variant: (seconds, wall) of each round, and (operations, bytes) of one call."""

    costs: Mapping[str, Sequence[tuple[float, float]]]
    counts: Mapping[str, tuple[int, int]]

    def row(self, name: str, to: str | None = None, per: int = 1) -> dict[str, Any]:
        """A variant's columns, with the `ratio` to another variant; per: images or words in one call."""
        seconds, wall = zip(*self.costs[name], strict=True)
        row = {'seconds': summary(seconds, per), 'wall': summary(wall, per)}
        row |= {'ratio': self.ratio(name, to)} if to else {}
        counted = zip(('GFLOP', 'GB'), self.counts[name], strict=True)
        return row | {unit: rounded(amount / per / 1e9) for unit, amount in counted if any(self.counts[name])}

    def rows(self, to: str) -> dict[str, dict[str, Any]]:
        """All variants' columns."""
        return {name: self.row(name, to) for name in self.costs}

    def ratio(self, one: str, other: str, per: int = 1) -> Figure:
        """Seconds of one variant to another's, round by round; per: units in one call of the one, to one of the other."""
        return quotients(*([cost[0] for cost in self.costs[name]] for name in (one, other)), per)


def measure(variants: Mapping[str, Call], rounds: int, device: torch.device) -> Measured:
    """Count one call of each variant, which warms it up, then time them in turns, in seconds of a device."""
    counts = {name: count(lambda call=call: call(0)) for name, call in variants.items()}
    timed = {name: lambda r, call=call: cost_of(lambda: call(r), device) for name, call in variants.items()}
    return Measured(take_turns(timed, rounds), counts)


def take_turns(calls: Mapping[str, Call], rounds: int) -> dict[str, list]:
    """What each call gives in each round; the order turns by one a round."""
    names, begun = list(calls), time.perf_counter()
    found: dict[str, list] = {name: [] for name in names}
    for r in range(rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            found[name].append(calls[name](r))
        left = (time.perf_counter() - begun) * (rounds - r - 1) / (r + 1)
        print(f'  round {r + 1}/{rounds}, about {left:.0f} s left', file=sys.stderr)
    return found


def cost_of(call: Callable[[], Any], device: torch.device) -> tuple[float, float]:
    """Seconds of one call: of the processor or the device, and on the wall."""
    wall, processor = time.perf_counter(), processor_seconds()
    if device.type != 'cuda':
        call()
        return processor_seconds() - processor, time.perf_counter() - wall
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    wall = time.perf_counter()
    start.record()
    call()
    stop.record()
    torch.cuda.synchronize(device)
    return start.elapsed_time(stop) / 1000, time.perf_counter() - wall


def processor_seconds() -> float:
    """Of all threads of this process, and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class TrafficMode(TorchDispatchMode):
    """Adds up the bytes of operands and results of every operator that is no view."""

    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and func._schema.name not in FREE:
            leaves = tree_leaves((args, kwargs, out))
            self.bytes += sum(
                leaf.numel() * leaf.element_size() for leaf in leaves if isinstance(leaf, Tensor)
            )
        return out


def count(call: Callable[[], Any]) -> tuple[int, int]:
    """Operations and bytes of one call, without torch's fused encoder: it is one operator without a formula."""
    encoder = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with TrafficMode() as traffic, FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops(), traffic.bytes
    finally:
        torch.backends.mha.set_fastpath_enabled(encoder)


def summary(values: Sequence[float], per: float = 1.0) -> Figure:
    """The figure of some values, divided by `per`, to four significant digits."""
    ordered, n = sorted(value / per for value in values), len(values)
    outside = [2 * sum(math.comb(n, i) for i in range(rank)) / 2**n for rank in range(n // 2 + 1)]
    rank = max(1, *(rank for rank, share in enumerate(outside) if share <= 0.05))
    numbers = dict(median=statistics.median(ordered), low=ordered[rank - 1], high=ordered[n - rank])
    return {**{key: rounded(value) for key, value in numbers.items()}, 'rounds': n}


def quotients(ones: Sequence[float], others: Sequence[float], per: float = 1.0) -> Figure:
    """The figure of the quotients, round by round, the others divided by `per`."""
    return summary([per * one / other for one, other in zip(ones, others, strict=True)])


def rounded(value: float) -> float:
    """To four significant digits."""
    return float(f'{value:.4g}')


def in_fresh_processes(function: Callable, *tasks: tuple) -> list:
    """What a function gives for each task's arguments, a fresh process for each, all at the same time."""
    pools = [ProcessPoolExecutor(1, SPAWN) for _ in tasks]
    futures = [pool.submit(function, *task) for pool, task in zip(pools, tasks, strict=True)]
    try:
        return [future.result() for future in futures]
    finally:
        for pool in pools:
            pool.shutdown()
