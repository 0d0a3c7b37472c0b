"""Deletion and insertion: does a score fall, or rise, as the cells that a map calls important are taken, or given?

    cells in order of falling map, ties in reading order
    deletion    start from the image, exchange the next 1/K of the cells by the fill; low is good
    insertion   start from the fill, put the image's cells back in the same order; high is good
    AUC = mean over k of (s_k + s_k+1) / 2,   k = 0 .. K - 1               K + 1 scores, both ends among them

The score is the caller's, such as the cosine of the UNMODIFIED CLIP's class token with the text, or its softmax over a
vocabulary. Cells are those of the map's grid: no patch is cut.

Source: Petsiuk et al., RISE (arXiv 1806.07421), which takes pixels, blurs for insertion (kernel 11, sigma 5) and takes
the mean for deletion; here one fill serves both. A ViT still reads a weakly blurred image: give a sigma of a patch.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..environment.numbers import check_count, check_positive

Score = Callable[[Tensor], Tensor]
BATCH = 16  # images that are scored at once


class Faithfulness(NamedTuple):
    """Scores of both games, each "K+1": from the image to the fill, and from the fill to the image."""

    deletion: Tensor
    insertion: Tensor


def faithfulness(score: Score, image: Tensor, importance: Tensor, fill: Tensor, steps: int) -> Faithfulness:
    """Both games for one image and one text.

    Args:
        score: from images "b 3 H W" to "b".
        image: "3 H W".
        importance: "h w", the map, on a grid whose cells H and W hold a whole number of times.
        fill: "3 H W", see `mean_fill` and `blur_fill`.
        steps: K, at most the number of cells.

    Raises:
        ValueError: shapes that don't fit, a map with NaN, or steps out of range.
    """
    check_game(image, importance, fill, steps)
    ranks = order_of(importance)
    return Faithfulness(
        scores_along(score, image, fill, ranks, steps), scores_along(score, fill, image, ranks, steps)
    )


def order_of(importance: Tensor) -> Tensor:
    """Place of each cell of a map "h w" in the order of falling importance, ties in reading order: "h w", int64."""
    order = importance.flatten().sort(descending=True, stable=True).indices
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    return ranks.view(importance.shape)


def scores_along(score: Score, start: Tensor, end: Tensor, ranks: Tensor, steps: int) -> Tensor:
    """Scores "K+1" on the way from one image "3 H W" to another, cell by cell in the order of their ranks "h w"."""
    steps_done = torch.arange(steps + 1, device=start.device)
    parts = [score(mixed(start, end, ranks, done, steps)) for done in steps_done.split(BATCH)]
    return torch.cat(parts)


def mixed(start: Tensor, end: Tensor, ranks: Tensor, done: Tensor, steps: int) -> Tensor:
    """The images "b 3 H W" after some numbers of steps "b" of K, in which so many of the first cells are the end's."""
    counts = torch.div(done * ranks.numel() + steps - 1, steps, rounding_mode='floor')
    taken = ranks < counts[:, None, None]
    height, width = (side // cells for side, cells in zip(start.shape[1:], ranks.shape, strict=True))
    pixels = taken.repeat_interleave(height, dim=1).repeat_interleave(width, dim=2)[:, None]
    return torch.where(pixels, end, start)


def curve_auc(scores: Tensor) -> Tensor:
    """Area under curves of scores "... K+1" by the trapezoid rule, over a base of length 1: "..."."""
    return (scores[..., 1:] + scores[..., :-1]).mean(dim=-1) / 2


def mean_fill(image: Tensor) -> Tensor:
    """The mean of the pixels that the tower was normalised by: 0 for a normalised image "3 H W"."""
    return torch.zeros_like(image)


def blur_fill(image: Tensor, sigma: float) -> Tensor:
    """A normalised image "3 H W" under a Gaussian blur, edges continued.

    Args:
        image: "3 H W".
        sigma: in pixels.

    Raises:
        ValueError: sigma is no positive number.
    """
    check_positive('sigma', sigma)
    reach = math.ceil(3 * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    kernel = (-((offsets / sigma) ** 2) / 2).exp()
    kernel = kernel / kernel.sum()
    padded = F.pad(image[:, None], (reach, reach, reach, reach), mode='replicate')
    return F.conv2d(F.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None])[:, 0]


def check_game(image: Tensor, importance: Tensor, fill: Tensor, steps: int) -> None:
    """Refuse an image, a map, a fill and a number of steps that do not fit together. Raises ValueError."""
    if importance.dim() != 2 or image.shape != fill.shape or image.dim() != 3:
        raise ValueError(
            f'give an image and a fill "3 H W" and a map "h w", got {tuple(image.shape)}, {tuple(fill.shape)} and '
            f'{tuple(importance.shape)}'
        )
    if any(side % cells for side, cells in zip(image.shape[1:], importance.shape, strict=True)):
        raise ValueError(
            f'cells of a map {tuple(importance.shape)} must divide an image {tuple(image.shape[1:])} evenly; crop or '
            'resize it to whole patches'
        )
    if not importance.isfinite().all():
        raise ValueError('the map holds NaN or infinity; check the explainer')
    check_count('steps', steps)
    if steps > importance.numel():
        raise ValueError(f'steps must be at most the {importance.numel()} cells of the map, got {steps}')
