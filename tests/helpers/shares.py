"""A metric over samples as 1, 2 or 3 processes would see them, without processes."""

from collections.abc import Callable, Sequence
from typing import Any

from mmseg_clipsurgery.evaluation.metrics import distributed_sum


def results_of_split(metric: Callable[[], Any], samples: Sequence, world: int, monkeypatch: Any) -> dict:
    """Metrics of samples that `world` processes take in turns, as MMEngine's sampler deals them.

    Every process sees as many: the sampler begins again where samples run out. What processes gather is added.

    Args:
        metric: makes one.
        samples: of the data set, in order.
        world: how many processes.
        monkeypatch: pytest's.
    """
    size = len(samples)
    rounds = -(-size // world)
    totals = []
    for rank in range(world):
        monkeypatch.setattr(distributed_sum, 'get_dist_info', lambda rank=rank: (rank, world))
        one = metric()
        one.process({}, [samples[(rank + turn * world) % size] for turn in range(rounds)])
        totals.append(one._sum.total(size, one._nothing))
    return metric().compute_metrics(totals)
