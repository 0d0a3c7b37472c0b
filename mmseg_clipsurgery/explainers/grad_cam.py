"""Grad-CAM on a ViT: channels of the last block's input, weighted by the mean gradient of the text's score.

    map_j = relu(sum_d w_d u_jd),   w_d = mean over patches of d score_t / d u_jd,   u = LN1(tokens that enter it)

Source: Selvaraju et al. (arXiv 1610.02391); target layer and reshaping of pytorch-grad-cam's CLIP example. With the
block's OUTPUT as target every patch's gradient is 0, and so is the map. Its score is the softmax over the given labels
(`softmax_scale`), which makes a map depend on the other labels and vanish when one class is sure: here the cosine is
the default. Grad-ECLIP's own Grad-CAM takes the tokens themselves for u and the mean over all tokens (`before_norm`).
"""

import torch
from torch import Tensor

from ..attention import PATCHES
from .attention_maps import on_grid
from .gradients import gradients, score_gradients
from .own_blocks import own_blocks
from .walk import Walk


def grad_cam(
    walk: Walk,
    text: Tensor,
    softmax_scale: float | None = None,
    before_norm: bool = False,
    one_head: bool = False,
    signed: bool = False,
) -> Tensor:
    """Grad-CAM, at the cost of a backward pass through the last block's keys and values for each text.

    Args:
        walk: of the images.
        text: "t c", L2-normalised.
        softmax_scale: the score is the softmax over the texts of so many times the cosines; None: the cosine.
        before_norm: u is the tokens before LN1, w the mean over all tokens.
        one_head: see `walk.class_read`.
        signed: leave out the relu.

    Returns:
        "b t h w", not negative unless `signed`.
    """
    maps = []
    with gradients():
        (last,), scores = own_blocks(walk, text, walk.depth, one_head)
        scores = scores if softmax_scale is None else (softmax_scale * scores).softmax(dim=-1)
        activations = last.entering if before_norm else last.p.stream
        for (slopes,) in score_gradients(scores, [activations]):
            weights = (slopes if before_norm else slopes[:, :, PATCHES]).mean(dim=2)
            maps.append(torch.einsum('bnd,tbd->btn', activations.detach(), weights))
    found = on_grid(torch.cat(maps, dim=1), walk.grid)
    return found if signed else found.relu()
