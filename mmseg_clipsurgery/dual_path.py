"""Dual paths: CLIP's own path, read once, and any number of new paths beside it.

    x = CLIP's tokens;   y = the tokens of a new path (see `surgery`), patches only, one y for each surgery
    in each block:   q, k, v = split(W LN1(x) + b)                          made once, for all paths
                     y = y + O(A v) [+ MLP]                                 where the surgery reads this block
                     x = x + O(softmax(s q k^T) v);  x = x + MLP(LN2(x))    [x = step(x), see `Surgery.each_block`]
    result:          class token from x, patches from y, before the final LayerNorm and projection

Nothing reads x after the last block but its class token, so there the class token alone is taken through attention and
MLP, unless a surgery takes patches from x there. What a surgery's parts need of earlier blocks is declared
(`needs`) and kept by `traces`; nothing else is kept. So the memory is one y for each surgery, one block's q, k and
v, and the traces asked for. Each path is computed by the same operations whether it is read alone or beside others:
the results are equal to the bit. Surgeries that change x (`each_block`) walk apart from those that do not.

Source: CLIP Surgery (arXiv 2304.05653), section 3.2. A tower gives its blocks in the form of `new_path.Block`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .affinities import AFFINITIES
from .attention import EVERY_TOKEN, Projections
from .kept_traces import KeptTraces
from .methods.same_label import Feedback
from .new_path import Block, NewPath
from .surgery import Surgery
from .token_maps import PATH_STEPS, Grid
from .traces import BlockView, Context, Traces


class Paths(NamedTuple):
    """One surgery's tokens before the final LayerNorm.

    Attributes:
        class_token: "b 1 d"; None: not asked for.
        patches: "b n d".
        grid: (h, w) of the patches.
    """

    class_token: Tensor | None
    patches: Tensor
    grid: Grid


class Arrival(NamedTuple):
    """CLIP's own path as it reaches the last block, which can then be read any number of times.

    Attributes:
        block: the last block.
        p: its projections of the tokens that enter it.
        contexts: what each surgery knows, in order.
        paths: the new paths, up to here.
        after: "b n d", CLIP's tokens after the block; None: nothing needs them.
    """

    block: Block
    p: Projections
    contexts: list[Context]
    paths: list[NewPath]
    after: Tensor | None

    def read(self, index: int, feedback: Feedback | None = None) -> Tensor:
        """The patches "b n d" of one surgery; feedback: what a second reading adds to its attention."""
        path = self.paths[index]
        if path.surgery.last_blocks == 0:
            assert self.after is not None
            return self.after[:, self.p.patches]
        return path.extended(self.block, self.contexts[index], self.p._replace(feedback=feedback))

    def class_tokens(self) -> list[Tensor]:
        """CLIP's class token "b 1 d" after the last block, for every surgery."""
        made: dict[bool, Tensor] = {}
        found = []
        for path, context in zip(self.paths, self.contexts, strict=True):
            if path.surgery.last_blocks == 0:
                assert self.after is not None
                found.append(self.after[:, :1])
                continue
            # Its query is cut from q where the path uses q, and made for itself elsewhere: the two round differently.
            shared = 'q' in path.uses
            if shared not in made:
                query = self.p.q[:, :, :1] if shared else self.block.class_query(self.p)
                made[shared] = class_token_after(self.block, context.entering, self.p, query)
            found.append(made[shared])
        return found


def read_blocks(
    blocks: Sequence[Block],
    x: Tensor,
    grid: Grid,
    surgeries: Sequence[Surgery],
    class_token: bool,
    given: Traces | None = None,
) -> list[Paths]:
    """Walk CLIP's blocks once, with the new paths of all surgeries beside it.

    Args:
        blocks, x, grid, surgeries, class_token, given: as for `arrive`.

    Returns:
        The tokens of each surgery, in order.
    """
    return paths_of(arrive(blocks, x, grid, surgeries, class_token, given), class_token)


def paths_of(arrival: Arrival, class_token: bool) -> list[Paths]:
    """The last block read once by every surgery."""
    count = len(arrival.paths)
    first = arrival.class_tokens() if class_token else [None] * count
    return [
        Paths(first[index], arrival.read(index), path.grid(arrival.p, arrival.contexts[index]))
        for index, path in enumerate(arrival.paths)
    ]


def arrive(
    blocks: Sequence[Block],
    x: Tensor,
    grid: Grid,
    surgeries: Sequence[Surgery],
    class_token: bool,
    given: Traces | None = None,
    own: bool = False,
) -> Arrival:
    """Walk CLIP's blocks up to the last one, with the new paths of all surgeries beside it.

    Args:
        blocks: of the tower, in order.
        x: "b n d", the tokens before the first block, class token first.
        grid: (h, w) in patches.
        surgeries: checked by `check_surgery`, with equal `walk_key`s.
        class_token: whether the class token is wanted; without it the last block costs less.
        given: traces that the caller gives, by name.
        own: whether CLIP's own tokens after the last block are wanted.
    """
    paths = [NewPath(surgery, len(blocks)) for surgery in surgeries]
    kept = KeptTraces([(path.traces, path.surgery.constants) for path in paths], given or {})
    *before, block = blocks
    x = walk(before, x, grid, paths, kept, surgeries[0])
    reading_last = [path for path in paths if path.surgery.last_blocks]
    whole = own or len(reading_last) < len(paths) or kept.to_the_end
    used = {part for path in reading_last for part in path.uses} | set('v' + 'k' * class_token)
    p = block.project_parts(x, grid, 'qkv' if whole else ''.join(sorted(used)))
    p = p._replace(number=len(blocks))
    after = own_step(block, x, p, surgeries[0]) if whole else None
    if after is not None:
        kept.update(BlockView(len(blocks), x, p, after, {}), last=True)
    kept.derive(x, p)
    return Arrival(block, p, [path.context(kept, x, p) for path in paths], paths, after)


def walk(
    blocks: Sequence[Block],
    x: Tensor,
    grid: Grid,
    paths: Sequence[NewPath],
    kept: KeptTraces,
    surgery: Surgery,
) -> Tensor:
    """CLIP's own tokens "b n d" through some blocks, all but the last; paths and traces take what they want.

    Args:
        blocks, x, grid: as for `arrive`.
        paths: what reads the blocks beside it.
        kept: what keeps something of them.
        surgery: whose `each_block` is done after each.
    """
    for number, block in enumerate(blocks, start=1):
        p = block.project(x, grid)._replace(number=number)
        for path in paths:
            if path.reads(number):
                path.tokens = path.extended(block, path.context(kept, x, p), p)
        leaving = own_step(block, x, p, surgery)
        kept.update(BlockView(number, x, p, leaving, {}))
        x = leaving
    return x


def projections_at(
    blocks: Sequence[Block], x: Tensor, grid: Grid, surgery: Surgery, number: int, given: Traces | None = None
) -> Projections:
    """q, k and v of one block as a surgery reads it, with all that its affinity needs there; of its first reading.

    Args:
        blocks, x, grid, given: as for `arrive`.
        surgery: checked by `check_surgery`.
        number: of the block, counted from 1.
    """
    path = NewPath(surgery, len(blocks))
    kept = KeptTraces([(path.traces, surgery.constants)], given or {})
    x = walk(blocks[: number - 1], x, grid, [], kept, surgery)
    block = blocks[number - 1]
    p = block.project(x, grid)._replace(number=number)
    if kept.to_the_end:
        kept.update(BlockView(number, x, p, own_step(block, x, p, surgery), {}), last=True)
    kept.derive(x, p)
    return path.projections(0, block, path.context(kept, x, p), p, 'qkv')


def own_step(block: Block, x: Tensor, p: Projections, surgery: Surgery) -> Tensor:
    """CLIP's own path through a block, x "b n d" -> "b n d", and what the surgery does to it then."""
    x = block.feed_forward(x + block.output(AFFINITIES['qk'].new_tokens(p, EVERY_TOKEN)))
    if surgery.each_block is None:
        return x
    patches = PATH_STEPS[surgery.each_block].apply(x[:, p.patches], p.grid, surgery.constants)
    return torch.cat([x[:, : p.before], patches], dim=1)


def class_token_after(block: Block, x: Tensor, p: Projections, query: Tensor) -> Tensor:
    """CLIP's own block for the class token alone: one query "b a 1 e", one token of the MLP -> "b 1 d"."""
    attended = F.scaled_dot_product_attention(query, p.k, p.v)
    return block.feed_forward(x[:, :1] + block.output(attended))
