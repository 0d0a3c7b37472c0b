"""Cosine maps: how alike the patches of one image are, and what is made of that.

    cosines    S = X' X'^T, rows of X' of length 1
    cut        S_ij < floor  ->  0
    sharpened  A = softmax_j( gain (S - share mean(S)) over the j where it is >= 0 )      mean over all i and j
    gathered   X_i  ->  sum_j cut(S)_ij X_j / (sum_j cut(S)_ij + 1e-6)

Every image of a batch has its own map and its own mean.

Sources: SC-CLIP (arXiv 2411.15869), SFP (ICCV 2025), ProxyCLIP (arXiv 2408.04883), in the form of their released codes.
Deliberate difference: a row of which nothing is >= 0 (an image of one colour, where share > 1) keeps all its entries;
in the authors' codes it becomes NaN.
"""

import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6  # keeps a row without likes finite


def cosines(tokens: Tensor) -> Tensor:
    """Cosine of every two tokens: "b n d" -> "b n n", in [-1, 1]."""
    unit = F.normalize(tokens, dim=-1)
    return unit @ unit.mT


def cut(similarity: Tensor, floor: float) -> Tensor:
    """A map "b n n" with 0 where it is below the floor."""
    return similarity.masked_fill(similarity < floor, 0)


def sharpened(similarity: Tensor, gain: float, share: float) -> Tensor:
    """An attention map of those that are more alike than the average.

    Args:
        similarity: "b n n".
        gain: what the distance from the average is multiplied by.
        share: of the average that is subtracted.

    Returns:
        "b n n", rows sum to 1.
    """
    logits = gain * (similarity - share * similarity.mean(dim=(-2, -1), keepdim=True))
    below = logits < 0
    return logits.masked_fill(below & ~below.all(dim=-1, keepdim=True), float('-inf')).softmax(dim=-1)


def gathered(tokens: Tensor, similarity: Tensor, floor: float) -> Tensor:
    """Every token becomes the mean of those that are like it, weighted by how much.

    Args:
        tokens: "b n d".
        similarity: "b n n".
        floor: tokens less alike than this do not count.

    Returns:
        "b n d".
    """
    weights = cut(similarity, floor)
    return weights @ tokens / (weights.sum(dim=-1, keepdim=True) + EPSILON)
