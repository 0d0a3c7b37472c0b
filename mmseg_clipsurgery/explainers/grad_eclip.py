"""Grad-ECLIP: what each patch's value adds to the cosine, weighted by how like its key is to the class token's query.

    map_j = relu(s_j sum_h c_hj),   c_hj = <d c_t / d r_h, v_hj>,   s_j = min-max over patches of cos(q_cls, k_j)

q and k with all heads side by side. With several blocks: relu block by block, then the sum; r is then the class token's
read in each block, and its gradient that through all later blocks.

Source: Zhao et al., Grad-ECLIP (ICML 2024, arXiv 2502.18816), the formula of its notebook. Its released code runs these
blocks with one head of the full width (`one_head`), which explains another cosine than CLIP's; its evaluation takes s_j
from q and k after the output projection (`projected`). Here all heads and plain q and k are the default; a map without
contrast has s = 0 in place of NaN.
"""

from typing import Literal

import torch
from torch import Tensor

from ..attention import Projections
from ..explain import unit_range
from ..new_path import Block
from ..similarity import normalize
from .attention_maps import on_grid
from .gradients import gradients, read_gradients, score_gradients
from .own_blocks import own_blocks
from .walk import Grid, Walk, class_read, merged

Keys = Literal['plain', 'projected', 'none']


@torch.no_grad()
def grad_eclip(walk: Walk, text: Tensor, one_head: bool = False, keys: Keys = 'plain') -> Tensor:
    """Grad-ECLIP of the last block, at the cost of one token's backward pass.

    Args:
        walk: of the images.
        text: "t c", L2-normalised.
        one_head: the block is run with one head, as released.
        keys: what s is made of: 'plain' q and k; 'projected': after the output projection; 'none': s = 1.

    Returns:
        "b t h w", not negative.
    """
    block, x = walk.blocks[-1], walk.entering(walk.depth)
    read = class_read(block, x, walk.grid, one_head) if one_head else walk.class_read
    slope = read_gradients(block, x[:, :1], read.read, walk.tower.to_joint, text)
    return block_map(slope, read.p, block, walk.grid, keys)


def grad_eclip_blocks(
    walk: Walk, text: Tensor, blocks: int, one_head: bool = False, keys: Keys = 'plain'
) -> Tensor:
    """Grad-ECLIP summed over the last blocks, at the cost of a backward pass through them for each text.

    Args:
        walk, text, one_head, keys: as for `grad_eclip`.
        blocks: how many.

    Returns:
        "b t h w", not negative.
    """
    first, maps = walk.first_of(blocks), []
    with gradients():
        graph, scores = own_blocks(walk, text, first, one_head)
        reads = [part.read for part in graph]
        for slopes in score_gradients(scores, reads):
            with torch.no_grad():
                of_blocks = [
                    block_map(slope[:, :, :, 0].transpose(0, 1), part.p, block, walk.grid, keys)
                    for block, part, slope in zip(walk.blocks[first - 1 :], graph, slopes, strict=True)
                ]
                maps.append(torch.stack(of_blocks).sum(dim=0))
    return torch.cat(maps, dim=1)


def block_map(slope: Tensor, p: Projections, block: Block, grid: Grid, keys: Keys) -> Tensor:
    """The map of one block, "b t h w".

    Args:
        slope: gradient of every text's cosine by the class token's read, "b t a e".
        p: the block's projections, class token first in q.
        block: the block.
        grid: (h, w) in patches.
        keys: as for `grad_eclip`.
    """
    added = on_grid(torch.einsum('btae,bane->btn', slope, p.v), grid)
    return (added if keys == 'none' else added * key_likeness(p, block, grid, keys)).relu()


def key_likeness(p: Projections, block: Block, grid: Grid, keys: Keys) -> Tensor:
    """s: min-max over patches of the cosine of the class token's query and each patch's key, "b 1 h w"."""
    query, key = p.q[:, :, :1], p.k
    if keys == 'projected':
        query, key = block.output(query)[:, None], block.output(key)[:, None]
    else:
        p = merged(p._replace(q=query))
        query, key = p.q, p.k
    cosines = (normalize(query) @ normalize(key).mT)[:, 0]
    return unit_range(on_grid(cosines, grid))
