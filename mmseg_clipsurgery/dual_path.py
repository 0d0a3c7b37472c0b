"""Dual paths: CLIP's own path, read once, and any number of new paths beside it.

    x = CLIP's tokens;   y = the tokens of a new path (see `surgery`), patches only, one y for each surgery
    in each block:   q, k, v = split(W LN1(x) + b)                          made once, for all paths
                     y = y + O(A v) [+ MLP]                                 where the surgery reads this block
                     x = x + O(softmax(s q k^T) v);  x = x + MLP(LN2(x))
    result:          class token from x, patches from y, before the final LayerNorm and projection

Nothing reads x after the last block but its class token, so there the class token alone is taken through attention and
MLP, unless a surgery reads no block and takes its patches from x (`last_blocks=0`). What a surgery's affinity needs of
earlier blocks is declared (`Affinity.needs`) and kept by a row of `TRACES`; nothing else is kept. So the memory is one
y for each surgery, one block's q, k and v, and the traces asked for. Each path is computed by the same operations
whether it is read alone or beside others: the results are equal to the bit.

Source: CLIP Surgery (arXiv 2304.05653), section 3.2. A tower gives its blocks in the form of `Block`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .affinities import AFFINITIES, Affinity, Projections, affinity_named
from .surgery import Surgery

PATCHES = slice(1, None)
EVERY_TOKEN = slice(None)


class Block(Protocol):
    """One transformer block of a tower, as its family reads it."""

    def project(self, x: Tensor, grid: tuple[int, int]) -> Projections:
        """q, k and v of the tokens x "b n d"."""
        ...

    def project_parts(self, x: Tensor, grid: tuple[int, int], parts: str) -> Projections:
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


class BlockView(NamedTuple):
    """What a trace sees of a block of CLIP's own path.

    Attributes:
        number: of the block, counted from 1.
        entering: "b n d", the tokens as they enter the block.
        projections: q, k and v of the block, all three.
        leaving: "b n d", the tokens as they leave it.
    """

    number: int
    entering: Tensor
    projections: Projections
    leaving: Tensor


@dataclass(frozen=True)
class Trace:
    """What blocks leave behind for an affinity of a later block.

    Args:
        update: (what was kept so far, or None; the block) -> what is kept from here on, or None; called after
            every block but the last, in order.
    """

    update: Callable[[Tensor | None, BlockView], Tensor | None]


# Name -> trace. Own ones are added under names that are free; `Affinity.needs` names them.
TRACES: dict[str, Trace] = {}


class Paths(NamedTuple):
    """One surgery's tokens before the final LayerNorm: class token "b 1 d" (None: not asked for), patches "b n-1 d"."""

    class_token: Tensor | None
    patches: Tensor


class NewPath:
    """The stream y of one surgery and the blocks it reads.

    Args:
        surgery: the row.
        depth: number of blocks of the tower.
    """

    def __init__(self, surgery: Surgery, depth: int):
        self.surgery = surgery
        self.affinity: Affinity = AFFINITIES[surgery.affinity]
        self.first_block = depth - surgery.last_blocks + 1
        self.tokens: Tensor | None = None

    def reads(self, number: int) -> bool:
        """Whether the surgery reads the block of this number, counted from 1."""
        return number >= self.first_block

    def extend(self, block: Block, x: Tensor, p: Projections) -> None:
        """Add what the surgery reads of a block to y.

        Args:
            block: the block.
            x: "b n d", CLIP's tokens as they enter it.
            p: its projections.
        """
        if self.tokens is None:
            self.tokens = x[:, 1:] if self.surgery.residual else torch.zeros_like(x[:, 1:])
        y = self.tokens + block.output(self.affinity.new_tokens(p, PATCHES))
        self.tokens = block.feed_forward(y) if self.surgery.ffn else y


def read_blocks(
    blocks: Sequence[Block], x: Tensor, grid: tuple[int, int], surgeries: Sequence[Surgery], class_token: bool
) -> list[Paths]:
    """Walk CLIP's blocks once, with the new paths of all surgeries beside it.

    Args:
        blocks: of the tower, in order.
        x: "b n d", the tokens before the first block, class token first.
        grid: (h, w) in patches.
        surgeries: checked by `check_surgery`.
        class_token: whether the class token is wanted; without it the last block costs less.

    Returns:
        The tokens of each surgery, in order.
    """
    paths = [NewPath(surgery, len(blocks)) for surgery in surgeries]
    traces: dict[str, Tensor] = {}
    needed = needs_of(surgeries)
    for number, block in enumerate(blocks[:-1], start=1):
        p = block.project(x, grid)._replace(traces=traces)
        for path in paths:
            if path.reads(number):
                path.extend(block, x, p)
        leaving = own_step(block, x, p)
        traces = updated(traces, needed, BlockView(number, x, p, leaving))
        x = leaving
    return read_last_block(blocks[-1], x, grid, paths, traces, class_token)


def projections_at(
    blocks: Sequence[Block], x: Tensor, grid: tuple[int, int], surgery: Surgery, number: int
) -> Projections:
    """q, k and v of one block of CLIP's own path, with the traces that a surgery's affinity needs there.

    Args:
        blocks, x, grid: as for `read_blocks`.
        surgery: checked by `check_surgery`.
        number: of the block, counted from 1.
    """
    traces: dict[str, Tensor] = {}
    for count, block in enumerate(blocks[: number - 1], start=1):
        p = block.project(x, grid)
        leaving = own_step(block, x, p)
        traces = updated(traces, needs_of([surgery]), BlockView(count, x, p, leaving))
        x = leaving
    return blocks[number - 1].project(x, grid)._replace(traces=traces)


def own_step(block: Block, x: Tensor, p: Projections) -> Tensor:
    """CLIP's own path through a block: x "b n d" -> "b n d"."""
    return block.feed_forward(x + block.output(AFFINITIES['qk'].new_tokens(p, EVERY_TOKEN)))


def read_last_block(
    block: Block,
    x: Tensor,
    grid: tuple[int, int],
    paths: Sequence[NewPath],
    traces: Mapping[str, Tensor],
    class_token: bool,
) -> list[Paths]:
    """The last block, of which only those of q, k and v are made that a path or the class token uses."""
    reading = [path for path in paths if path.surgery.last_blocks]
    whole = len(reading) < len(paths)  # a path takes its patches from x
    used = {part for path in reading for part in path.affinity.uses} | set('v' + 'k' * class_token)
    p = block.project_parts(x, grid, 'qkv' if whole else ''.join(sorted(used)))._replace(traces=traces)
    for path in reading:
        path.extend(block, x, p)
    after = own_step(block, x, p) if whole else None
    class_tokens: dict[bool, Tensor] = {}
    found = []
    for path in paths:
        if path.tokens is None:
            assert after is not None
            found.append(Paths(after[:, :1] if class_token else None, after[:, 1:]))
            continue
        # Its query is cut from q where the affinity uses q, and made for itself elsewhere: the two round differently.
        shared = 'q' in path.affinity.uses
        if class_token and shared not in class_tokens:
            query = p.q[:, :, :1] if shared else block.class_query(p)
            class_tokens[shared] = class_token_after(block, x, p, query)
        found.append(Paths(class_tokens.get(shared), path.tokens))
    return found


def class_token_after(block: Block, x: Tensor, p: Projections, query: Tensor) -> Tensor:
    """CLIP's own block for the class token alone: one query "b a 1 e", one token of the MLP -> "b 1 d"."""
    attended = F.scaled_dot_product_attention(query, p.k, p.v)
    return block.feed_forward(x[:, :1] + block.output(attended))


def needs_of(surgeries: Iterable[Surgery]) -> list[str]:
    """The traces that some surgeries need, each once."""
    needed = [name for row in surgeries if row.last_blocks for name in AFFINITIES[row.affinity].needs]
    return list(dict.fromkeys(needed))


def updated(traces: Mapping[str, Tensor], needed: Sequence[str], view: BlockView) -> dict[str, Tensor]:
    """The traces after one block more."""
    kept = {name: TRACES[name].update(traces.get(name), view) for name in needed}
    return {name: value for name, value in kept.items() if value is not None}


def check_surgery(surgery: Surgery, depth: int | None, label: str) -> Surgery:
    """The surgery itself, where a tower can be read by it.

    Args:
        surgery: the row.
        depth: number of blocks of the tower; None: it has one attention, which every surgery reads.
        label: the tower's name, for messages.

    Raises:
        ValueError: more blocks than there are, an unknown affinity, or needs that no trace provides.
    """
    if depth is not None and surgery.last_blocks > depth:
        raise ValueError(
            f'the surgery reads the last {surgery.last_blocks} blocks, {label} has {depth}; give '
            'surgery=dict(last_blocks=..., ...) with fewer'
        )
    missing = [name for name in affinity_named(surgery.affinity).needs if name not in TRACES]
    if missing and surgery.last_blocks:
        raise ValueError(
            f'the affinity {surgery.affinity!r} needs {missing[0]!r} of earlier blocks, which nothing provides; add '
            f'a row TRACES[{missing[0]!r}] (there are {", ".join(TRACES) or "none"})'
        )
    return surgery
