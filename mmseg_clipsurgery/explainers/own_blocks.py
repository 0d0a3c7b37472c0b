"""CLIP's own last blocks as a graph, from the tokens that enter them to the cosines.

Of the last block the class token alone is taken through attention and MLP, since nothing else of it is read. Call
`own_blocks` inside `gradients.gradients`.
"""

from typing import NamedTuple

from torch import Tensor

from ..attention import EVERY_TOKEN, Projections, softmax_weights
from .gradients import leaf, text_scores
from .walk import Walk, class_read, merged


class OwnBlock(NamedTuple):
    """One block in the graph.

    Attributes:
        entering: "b n d", the tokens that enter it.
        p: its projections; in the last block q is the class token's alone.
        weights: A, "b a n n"; in the last block "b a 1 n".
        read: A v, "b a n e"; in the last block "b a 1 e".
    """

    entering: Tensor
    p: Projections
    weights: Tensor
    read: Tensor


def own_blocks(walk: Walk, text: Tensor, first: int, one_head: bool = False) -> tuple[list[OwnBlock], Tensor]:
    """The blocks from the number `first` on, and the cosines of the class token that leaves the last one.

    Args:
        walk: of the images.
        text: "t c", L2-normalised.
        first: number of a block, counted from 1.
        one_head: see `walk.class_read`; these blocks then give other tokens than CLIP's.

    Returns:
        The blocks in order, and "b t".
    """
    x, found = leaf(walk.entering(first)), []
    for block in walk.blocks[first - 1 : -1]:
        p = block.project(x, walk.grid)
        p = merged(p) if one_head else p
        weights = softmax_weights(p.q, p.k, EVERY_TOKEN)
        found.append(OwnBlock(x, p, weights, weights @ p.v))
        x = block.feed_forward(x + block.output(found[-1].read))
    last = walk.blocks[-1]
    found.append(OwnBlock(x, *class_read(last, x, walk.grid, one_head)))
    leaving = last.feed_forward(x[:, :1] + last.output(found[-1].read))
    return found, text_scores(walk.tower.to_joint(leaving[:, 0]), text.clone())
