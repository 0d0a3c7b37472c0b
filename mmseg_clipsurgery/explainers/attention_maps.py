"""Attention and its rollout: which patches the class token looks at, whatever the text.

    attention   mean over heads of A_hj                                           A: the class token's row, last block
    rollout     R = product over blocks of (mean_h A + I) / 2, the last leftmost;   row of the class token

Source of rollout: Abnar and Zuidema (arXiv 2005.00928). Grad-ECLIP's evaluation calls its copy with the last block
alone, which gives attention / 2 (`blocks=1`); its "attention" is that of one head of the full width (`one_head`).
Differences: heads are averaged image by image (there over the batch too), and R's one row is carried down from the last
block, a vector times a matrix for each.
"""

import torch
from torch import Tensor

from ..attention import EVERY_TOKEN, PATCHES, softmax_weights
from .walk import Grid, Walk, class_read


@torch.no_grad()
def attention(walk: Walk, text: Tensor, one_head: bool = False) -> Tensor:
    """Mean over heads of the class token's attention in the last block.

    Args:
        walk: of the images.
        text: not looked at.
        one_head: see `walk.class_read`.

    Returns:
        "b 1 h w", in [0, 1]; what is missing to a sum of 1 is the class token's own.
    """
    read = walk.class_read
    if one_head:
        read = class_read(walk.blocks[-1], walk.entering(walk.depth), walk.grid, one_head=True)
    return on_grid(read.weights.mean(dim=1), walk.grid)


@torch.no_grad()
def rollout(walk: Walk, text: Tensor, blocks: int | None = None) -> Tensor:
    """Attention rollout over the last blocks.

    Args:
        walk: of the images.
        text: not looked at.
        blocks: how many; None: all.

    Returns:
        "b 1 h w", in [0, 1].
    """
    maps = []
    for number in range(walk.first_of(blocks), walk.depth):
        p = walk.projections(number)
        maps.append(softmax_weights(p.q, p.k, EVERY_TOKEN).mean(dim=1))
    row = class_row(walk) + walk.class_read.weights.mean(dim=1)
    row = row / 2
    for weights in reversed(maps):
        row = (row + row @ weights) / 2
    return on_grid(row, walk.grid)


def class_row(walk: Walk) -> Tensor:
    """The class token's row of the identity, "b 1 n"."""
    height, width = walk.grid
    row = walk.images.new_zeros(len(walk.images), 1, 1 + height * width)
    row[:, :, 0] = 1
    return row


def on_grid(rows: Tensor, grid: Grid) -> Tensor:
    """Rows over all tokens "b t n" -> maps over the patches "b t h w"."""
    return rows[..., PATCHES].unflatten(-1, grid)
