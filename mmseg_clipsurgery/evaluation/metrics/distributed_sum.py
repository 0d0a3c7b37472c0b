"""Sums over a data set, every image once whatever the number of processes.

A distributed sampler repeats images until every process has as many. Process r of w owns ceil((N - r) / w) of N
images, and only the last one it sees can be a repetition; so the last image is kept apart until N is known. Memory
is two tensors, whatever N.

Sums of floating-point numbers depend on their order, so on the number of processes, in the last digits. Figures are
added as whole multiples of 2^-40 (`fixed_point`), whose sums do not.
"""

import torch
from mmengine.dist import all_reduce, get_dist_info
from torch import Tensor

UNIT = 2.0**40  # parts of 1: exact to 1e-12, and 8 million ones fit an int64


def fixed_point(figures: Tensor) -> Tensor:
    """Figures as int64, whose sums do not depend on their order; `from_fixed_point` reads a sum of below 8 million."""
    return (figures.double() * UNIT).round().long()


def from_fixed_point(total: Tensor) -> Tensor:
    """A sum of figures, float64, from the sum of what `fixed_point` gave."""
    return total.double() / UNIT


def images_owned(size: int, rank: int, world: int) -> int:
    """How many of `size` images process `rank` of `world` owns: rank, rank + world, ...; others are repetitions."""
    return max(0, -((rank - size) // world))  # ceil((size - rank) / world)


class DistributedSum:
    """A running sum of one tensor per image, reduced once over the processes."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._sum: Tensor | None = None
        self._last: Tensor | None = None
        self.seen = 0

    def add(self, counts: Tensor) -> None:
        """Count one image. All images of all processes give tensors of one shape and dtype."""
        if self._last is not None:
            self._sum = self._last if self._sum is None else self._sum + self._last
        self._last = counts
        self.seen += 1

    @property
    def next_index(self) -> int:
        """Place in the data set of the image that is added next, where processes take turns as `images_owned` says."""
        rank, world = get_dist_info()
        return rank + self.seen * world

    def surplus(self, size: int) -> int:
        """How many images this process saw beyond its share of `size`: 0, or 1 for a repetition that fills it up.

        Raises:
            ValueError: more, or fewer: the images were not divided among the processes.
        """
        rank, world = get_dist_info()
        owned, most = images_owned(size, rank, world), images_owned(size, 0, world)
        if self.seen not in (owned, most):
            raise ValueError(
                f'process {rank} of {world} evaluated {self.seen} images and its share of {size} is {owned}: set '
                'drop_last=False, and a sampler that divides the images among the processes, such as DefaultSampler'
            )
        return self.seen - owned

    def total(self, size: int, nothing: Tensor) -> Tensor:
        """The sum over the `size` images of the data set, the same on every process, on the CPU.

        Args:
            size: N.
            nothing: zeros of the images' shape and dtype, for a process that owns no image.

        Raises:
            ValueError: see `surplus`.
        """
        kept = [self._sum] if self.surplus(size) else [self._sum, self._last]
        counts = torch.stack([nothing] + [part.to(nothing.device) for part in kept if part is not None]).sum(
            dim=0
        )
        all_reduce(counts)
        return counts.cpu()
