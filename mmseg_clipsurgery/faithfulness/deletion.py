"""Deletion and insertion: does a score fall, or rise, as the cells that a map calls important are taken, or given?

    cells in order of falling map, ties in an order of the caller's, else in reading order
    deletion    start from the image, exchange the next 1/K of the cells by the fill; low is good
    insertion   start from the fill, put the image's cells back in the same order; high is good
    AUC = mean over k of (s_k + s_k+1) / 2,   k = 0 .. K - 1               K + 1 scores, both ends among them

Scores are those of the UNMODIFIED CLIP: the class token's cosine with the word, and its softmax over the vocabulary.
Cells are those of the map's grid: no patch is cut.

Source: Petsiuk et al., RISE (arXiv 1806.07421), which takes pixels, blurs for insertion (kernel 11, sigma 5) and takes
the mean for deletion; here one fill serves both. A ViT still reads a weakly blurred image: sigma is a patch.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..environment.numbers import check_count, check_positive
from ..explainers.explainer import Explainer
from .maps import class_maps
from .subjects import SCORES, JudgedCLIP, Settings, Subject

Score = Callable[[Tensor], Tensor]
BATCH = 16  # images that are scored at once


class Curves(NamedTuple):
    """Scores of both games, each "K+1 ...": from the image to the fill, and from the fill to the image."""

    deletion: Tensor
    insertion: Tensor


def deletion(
    clip: JudgedCLIP, explainers: Mapping[str, Explainer], subjects: Sequence[Subject], settings: Settings
) -> Iterator[tuple[str, dict[str, float]]]:
    """Both games for every subject and explainer, with both fills.

    Args:
        clip: whose score falls and rises.
        explainers: by names of the caller's.
        subjects: images and words.
        settings: `steps`, and the seed of the order of ties.

    Yields:
        Of each subject and explainer: the explainer's name, and by 'FILL SCORE deletion', 'FILL SCORE insertion' and
        'FILL SCORE difference' (insertion - deletion) areas, by 'FILL SCORE image' and 'FILL SCORE fill' the ends.
    """
    for number, subject in enumerate(subjects):
        maps = class_maps(clip, explainers, subject.image, [subject.label])
        fills = {
            'mean': mean_fill(subject.image),
            'blur': blur_fill(subject.image, float(clip.tower.patch)),
        }
        score = clip.scores_of(subject.label)
        for name, (importance,) in maps.items():
            ties = shuffled(importance, f'ties {settings.seed} {number}')
            figures: dict[str, float] = {}
            for fill, filled in fills.items():
                played = curves(score, subject.image, importance, filled, settings.steps, ties)
                figures |= {f'{fill} {key}': value for key, value in figures_of(played).items()}
            yield name, figures


def figures_of(played: Curves) -> dict[str, float]:
    """Areas and ends of curves "K+1 s" of the scores `SCORES`."""
    found = {}
    taken, given = curve_auc(played.deletion), curve_auc(played.insertion)
    for place, score in enumerate(SCORES):
        found[f'{score} deletion'] = float(taken[place])
        found[f'{score} insertion'] = float(given[place])
        found[f'{score} difference'] = float(given[place] - taken[place])
        found[f'{score} image'] = float(played.deletion[0, place])
        found[f'{score} fill'] = float(played.insertion[0, place])
    return found


def curves(
    score: Score, image: Tensor, importance: Tensor, fill: Tensor, steps: int, ties: Tensor | None = None
) -> Curves:
    """Both games for one image and one text.

    Args:
        score: from images "b 3 H W" to "b ...".
        image: "3 H W".
        importance: "h w", the map, on a grid whose cells H and W hold a whole number of times.
        fill: "3 H W", see `mean_fill` and `blur_fill`.
        steps: K, at most the number of cells.
        ties: "h w", the order in which cells of one value are taken; None: reading order.

    Raises:
        ValueError: shapes that don't fit, a map with NaN, or steps out of range.
    """
    check_game(image, importance, fill, steps)
    ranks = order_of(importance, ties)
    return Curves(
        scores_along(score, image, fill, ranks, steps), scores_along(score, fill, image, ranks, steps)
    )


def order_of(importance: Tensor, ties: Tensor | None = None) -> Tensor:
    """Place of each cell of a map "h w" in the order of falling importance, ties as in `curves`: "h w", int64."""
    first = torch.arange(importance.numel(), device=importance.device)
    if ties is not None:
        first = ties.flatten().sort(stable=True).indices
    order = first[importance.flatten()[first].sort(descending=True, stable=True).indices]
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    return ranks.view(importance.shape)


def shuffled(importance: Tensor, seed: str) -> Tensor:
    """The cells of a map "h w" numbered in an order drawn by a seed, "h w"."""
    numbers = list(range(importance.numel()))
    random.Random(seed).shuffle(numbers)
    return torch.tensor(numbers, device=importance.device).view(importance.shape)


def scores_along(score: Score, start: Tensor, end: Tensor, ranks: Tensor, steps: int) -> Tensor:
    """Scores "K+1 ..." on the way from one image "3 H W" to another, cell by cell in the order of their ranks "h w"."""
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
    """Area under curves of scores "K+1 ..." by the trapezoid rule, over a base of length 1: "..."."""
    return (scores[1:] + scores[:-1]).mean(dim=0) / 2


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
