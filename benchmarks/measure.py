"""Rounds of interleaved variants: every variant in every round, so that ratios survive a busy machine.

A figure is {median, low, high, rounds}: the order statistics low and high hold the true median with at least 95 %,
whatever the distribution (binomial of n fair coins); below 6 rounds they are the extremes.
"""

import math
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

SPAWN = multiprocessing.get_context('spawn')
FREE = {'aten::_unsafe_view', 'aten::empty', 'aten::new_empty', 'aten::empty_like', 'aten::detach'}
FUSED, FUSED_ON_CPU = '_scaled_dot_product_flash_attention', '_scaled_dot_product_flash_attention_for_cpu'
flop_registry.setdefault(getattr(torch.ops.aten, FUSED_ON_CPU), flop_registry[getattr(torch.ops.aten, FUSED)])
Row = dict[str, Any]  # column -> figure, number or text


class Measured:
    """Seconds of variants in turns, called with the number of the round; counts of one call, which warms them up."""

    def __init__(self, variants: Mapping[str, Callable[[int], Any]], rounds: int, device: torch.device):
        self.counts = {name: count(call) for name, call in variants.items()}
        timed = {name: lambda r, call=call: cost_of(call, device, r) for name, call in variants.items()}
        self.costs = take_turns(timed, rounds)

    def rows(self, to: str) -> dict[str, Row]:
        """All variants' columns."""
        return {name: self.row(name, to) for name in self.costs}

    def row(self, name: str, to: str | None = None, per: int = 1) -> Row:
        """A variant's columns, with the `ratio` to another variant; per: images or words in one call."""
        seconds, wall = zip(*self.costs[name], strict=True)
        row = {'seconds': figure(seconds, per), 'wall': figure(wall, per)}
        row |= {'ratio': self.ratio(name, to)} if to else {}
        counted = zip(('GFLOP', 'GB'), self.counts[name], strict=True)
        return row | {unit: rounded(amount / per / 1e9) for unit, amount in counted if amount}

    def ratio(self, one: str, other: str, per: int = 1) -> Row:
        """Seconds of one variant to another's, round by round; per: units in one call of the other."""
        return quotients(*([cost[0] for cost in self.costs[name]] for name in (one, other)), per)


def take_turns(calls: Mapping[str, Callable[[int], Any]], rounds: int) -> dict[str, list]:
    """What each call gives in each round; the order turns by one a round."""
    names, found = list(calls), {name: [] for name in calls}
    for r in range(rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            found[name].append(calls[name](r))
        print(f'  round {r + 1} of {rounds}', file=sys.stderr)
    return found


def cost_of(call: Callable[..., Any], device: torch.device, *arguments: Any) -> tuple[float, float]:
    """Seconds of one call: of the processor, or until the device has done it; and on the wall."""
    wall, processor = time.perf_counter(), processor_seconds()
    call(*arguments)
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    wall = time.perf_counter() - wall
    return wall if device.type == 'cuda' else processor_seconds() - processor, wall


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
            sizes = {id(leaf): getattr(leaf, 'nbytes', 0) for leaf in tree_leaves((args, kwargs, out))}
            self.bytes += sum(sizes.values())
        return out


def count(call: Callable[[int], Any]) -> tuple[int, int]:
    """Operations and bytes of one call, without torch's fused encoder: it is one operator without a formula."""
    plain = mock.patch.object(torch.backends.mha, 'get_fastpath_enabled', return_value=False)
    with plain, TrafficMode() as traffic, FlopCounterMode(display=False) as counter:
        call(0)
    return counter.get_total_flops(), traffic.bytes


def figure(values: Sequence[float], per: float = 1) -> Row:
    """The figure of some values, divided by `per`."""
    ordered, n = sorted(value / per for value in values), len(values)
    outside = [2 * sum(math.comb(n, i) for i in range(rank)) / 2**n for rank in range(n // 2 + 1)]
    rank = max(1, *(rank for rank, share in enumerate(outside) if share <= 0.05))
    numbers = dict(median=statistics.median(ordered), low=ordered[rank - 1], high=ordered[n - rank])
    return {**{key: rounded(value) for key, value in numbers.items()}, 'rounds': n}


def quotients(ones: Sequence[float], others: Sequence[float], per: float = 1) -> Row:
    """The figure of the quotients, round by round, the others divided by `per`."""
    return figure([one / other for one, other in zip(ones, others, strict=True)], 1 / per)


def rounded(value: float) -> float:
    """To four significant digits."""
    return float(f'{value:.4g}')


def in_fresh_processes(function: Callable, *tasks: tuple) -> list:
    """What a function gives for each task's arguments, a fresh process for each, all at the same time."""
    with ProcessPoolExecutor(len(tasks), SPAWN, max_tasks_per_child=1) as pool:
        return list(pool.map(function, *zip(*tasks, strict=True)))
