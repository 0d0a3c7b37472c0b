"""LeGrad: how much each block's attention to a patch lifts the cosine of the MEAN token after that block.

    map_j = sum over blocks of  mean over heads and all queries i of  relu(d score_l / d A_hij)
    score_l = <text, unit(proj LN(mean over all tokens after block l))>

d score_l / d A_hij = <d score_l / d (A v)_hi, v_hj>: a gradient stays within its own block. LeGrad explains the mean
token, which CLIP was not trained to match; maps are not normalised block by block.

Source: Bousselham et al., LeGrad (ICCV 2025, arXiv 2404.03214), whose code takes the last two blocks by default, the
paper all. Differences: any grid, batch and size after size (there the first image's size is kept).
"""

import torch
from torch import Tensor

from ..new_path import Block
from .attention_maps import on_grid
from .gradients import ToJoint, directed_gradients, gradients, joint_gradients, leaf
from .walk import Grid, Walk


def legrad(walk: Walk, text: Tensor, blocks: int | None = None) -> Tensor:
    """LeGrad over the last blocks.

    Args:
        walk: of the images.
        text: "t c", L2-normalised.
        blocks: how many; None: all.

    Returns:
        "b t h w", not negative.
    """
    return torch.stack(legrad_layers(walk, text, blocks)).sum(dim=0)


def legrad_layers(walk: Walk, text: Tensor, blocks: int | None = None) -> list[Tensor]:
    """The map "b t h w" of each of the last blocks, in order; arguments as `legrad`."""
    first, maps = walk.first_of(blocks), []
    x = walk.entering(first)
    for block in walk.blocks[first - 1 :]:
        rows, x = block_map(block, x, walk.grid, walk.tower.to_joint, text)
        maps.append(on_grid(rows, walk.grid))
    return maps


def block_map(block: Block, x: Tensor, grid: Grid, to_joint: ToJoint, text: Tensor) -> tuple[Tensor, Tensor]:
    """The map of one block over all tokens, "b t n", and the tokens "b n d" that leave it.

    Args:
        block: the block.
        x: "b n d", the tokens that enter it.
        grid: (h, w) in patches.
        to_joint: the final LayerNorm and projection.
        text: "t c", L2-normalised.
    """
    with torch.no_grad():
        p = block.project(x, grid)
        attended = torch.nn.functional.scaled_dot_product_attention(p.q, p.k, p.v)
    with gradients():
        attended = leaf(attended)
        leaving = block.feed_forward(x.clone() + block.output(attended))
        mean = leaving.mean(dim=1)
        directions = joint_gradients(to_joint, mean, text).transpose(0, 1)
        maps = []
        for (slopes,) in directed_gradients(mean, [attended], directions):
            with torch.no_grad():
                maps.append((slopes @ p.v.mT).relu_().mean(dim=(2, 3)))
    return torch.cat(maps).transpose(0, 1), leaving.detach()
