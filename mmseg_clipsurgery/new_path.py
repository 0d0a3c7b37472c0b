"""The new path of one surgery: which blocks it reads, and what it takes from each.

y = sum over readings of  weight * after( O(A v) ),   q, k, v from LN1(class token of z, before(patches of z))
                                                      z = x as it enters the block, or a trace (`Read.stream`)
"""

from functools import reduce
from typing import Protocol

import torch
from torch import Tensor

from .affinities import affinity_named, tokens_by
from .attention import Projections
from .kept_traces import KeptTraces
from .surgery import Read, Surgery
from .token_maps import TOKEN_MAPS, Grid
from .traces import Context


class Block(Protocol):
    """One transformer block of a tower, as its family reads it."""

    def project(self, x: Tensor, grid: Grid) -> Projections:
        """q, k and v of the tokens x "b n d"."""
        ...

    def project_parts(self, x: Tensor, grid: Grid, parts: str) -> Projections:
        """The same, but only those of q, k and v that are named in `parts`; the others stay empty."""
        ...

    def class_query(self, p: Projections) -> Tensor:
        """q of the class token, "b a 1 e", also where the projections hold no q."""
        ...

    def output(self, attended: Tensor) -> Tensor:
        """The output projection O of attended values "b a n e" -> "b n d"."""
        ...

    def feed_forward(self, x: Tensor) -> Tensor:
        """x "b n d" plus the block's MLP of LN2(x)."""
        ...


class NewPath:
    """The stream y of one surgery and the blocks it reads.

    Args:
        surgery: the row.
        depth: number of blocks of the tower.
    """

    def __init__(self, surgery: Surgery, depth: int):
        self.surgery = surgery
        self.first_block = depth - surgery.last_blocks + 1
        self.readings = surgery.reads or (Read(),)
        self.names = [read.affinity or surgery.affinity for read in self.readings]
        self.affinities = [affinity_named(name) for name in self.names]
        self.traces = surgery.traces()
        self.tokens: Tensor | None = None

    @property
    def uses(self) -> set[str]:
        """Which of q, k and v it uses of the tokens that enter a block."""
        rows = zip(self.readings, self.affinities, strict=True)
        return {part for read, affinity in rows if is_plain(read) for part in affinity.uses}

    def reads(self, number: int) -> bool:
        """Whether the surgery reads the block of this number, counted from 1."""
        return number >= self.first_block

    def context(self, kept: KeptTraces, x: Tensor, p: Projections) -> Context:
        """What it knows as it reads a block that the tokens x "b n d" enter; p: the block's projections of them."""
        constants = self.surgery.constants
        return Context(x, p.grid, constants, kept.named(self.traces, constants), p.patches)

    def grid(self, p: Projections, context: Context) -> Grid:
        """The grid (h, w) of y."""
        rule = self.affinities[0].grid
        return rule(p._replace(traces=context.traces)) if rule else context.grid

    def extended(self, block: Block, context: Context, p: Projections) -> Tensor:
        """y "b n d" after a block, of which all readings are added.

        Args:
            block: the block.
            context: what is known.
            p: the block's projections of the tokens that enter it.
        """
        found = [self.reading(index, block, context, p) for index in range(len(self.readings))]
        start = context.patches if self.surgery.residual else None
        start = start if self.tokens is None else self.tokens
        y = reduce(torch.add, found if start is None else [start, *found])
        return block.feed_forward(y) if self.surgery.ffn else y

    def reading(self, index: int, block: Block, context: Context, p: Projections) -> Tensor:
        """What one reading gives, "b n d": its weight times after(O(A v))."""
        read = self.readings[index]
        p = self.projections(index, block, context, p, self.affinities[index].uses)
        found = block.output(tokens_by(self.names[index], p, p.patches))
        for name in read.after:
            found = TOKEN_MAPS[name].apply(found, stream_of(read, context)[:, : p.before], context)
        return found if read.weight == 1 else read.weight * found

    def projections(
        self, index: int, block: Block, context: Context, p: Projections, parts: str
    ) -> Projections:
        """Those of q, k and v named in `parts` of what one reading reads, with all that its affinity needs."""
        p = p._replace(traces=context.traces, constants=context.constants)
        read = self.readings[index]
        if is_plain(read):
            return p
        tokens = stream_of(read, context)
        first, patches = tokens[:, : p.before], tokens[:, p.patches]
        for name in read.before:
            patches = TOKEN_MAPS[name].apply(patches, first, context)
        made = block.project_parts(torch.cat([first, patches], dim=1), context.grid, parts)
        return p._replace(q=made.q, k=made.k, v=made.v, stream=made.stream)


def is_plain(read: Read) -> bool:
    """Whether a reading takes the tokens that enter the block as they are."""
    return read.stream is None and not read.before


def stream_of(read: Read, context: Context) -> Tensor:
    """The tokens "b n d" that a reading starts from, class token first."""
    return context.entering if read.stream is None else context.traces[read.stream]
