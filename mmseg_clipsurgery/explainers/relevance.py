"""Relevance of Chefer et al.: attention weighted by its gradient, rolled out over blocks.

    R = I;   for each block:  R = R + C R,   C = mean over heads of relu(scale dc/dA * A);   map = R[class, patches]

With one block the map is scale x mean_h relu(A_hj c_hj), c_hj = <g_h, v_hj>: the gradient of the class token's one row.
Through several blocks R is a product of (I + scale ...), so the map's shape depends on the scale: CLIP's 100.

Source: Chefer, Gur and Wolf (arXiv 2103.15679), the CLIP notebook of their public code, whose default is the last block
alone. Differences: no hooks, any grid and batch; R's one row is carried down from the last block, a vector times a
matrix for each in place of a product of matrices.
"""

import torch
from torch import Tensor

from .attention_maps import class_row, on_grid
from .gradients import gradients, read_gradients, score_gradients
from .own_blocks import own_blocks
from .walk import Walk

LOGIT_SCALE = 100.0


@torch.no_grad()
def last_relevance(walk: Walk, text: Tensor, scale: float = LOGIT_SCALE) -> Tensor:
    """Relevance of the last block, at the cost of one token's backward pass.

    Args:
        walk: of the images.
        text: "t c", L2-normalised.
        scale: of the cosine that is differentiated.

    Returns:
        "b t h w", not negative.
    """
    p, weights, read = walk.class_read
    first = walk.entering(walk.depth)[:, :1]
    slope = read_gradients(walk.blocks[-1], first, read, walk.tower.to_joint, text)
    added = torch.einsum('btae,bane->btan', slope, p.v)
    return on_grid(scale * (weights[:, None, :, 0] * added).relu().mean(dim=2), walk.grid)


def relevance(walk: Walk, text: Tensor, blocks: int | None = None, scale: float = LOGIT_SCALE) -> Tensor:
    """Relevance over the last blocks, at the cost of a backward pass through them for each text.

    Args:
        walk, text, scale: as for `last_relevance`.
        blocks: how many; None: all.

    Returns:
        "b t h w", not negative.
    """
    first, maps = walk.first_of(blocks), []
    with gradients():
        graph, scores = own_blocks(walk, text, first)
        attentions = [block.weights for block in graph]
        for slopes in score_gradients(scores, attentions):
            with torch.no_grad():
                row = class_row(walk)
                for weights, slope in zip(reversed(attentions), reversed(slopes), strict=True):
                    carried = scale * slope.mul_(weights).relu_().mean(dim=2)
                    # The last block has the class token's row alone, and R's row is the identity's there.
                    row = row + (carried if weights.shape[2] == 1 else row @ carried)
            maps.append(row[:, :, 0])
    return on_grid(torch.cat(maps).transpose(0, 1), walk.grid)
