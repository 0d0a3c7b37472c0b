"""Outlier tokens: patches in which CLIP keeps what is not theirs, found in two ways, and their repair.

    local outlier factor   d_i      squared distance to the k-th nearest other token
                           score_i  d_i * mean over those k tokens j of 1 / d_j
                           outlier: score above the (1 - share) quantile of the image's scores
    class attention        outlier: gain * (what the class token gives the patch) > what the patch gives itself;
                           of more than `most` the largest by what the class token gives
    repair                 an outlier becomes the mean of those of its 8 neighbours that are none

Every image of a batch is judged by itself.

Sources: SC-CLIP (arXiv 2411.15869; the local outlier factor as released: a token's reach distance there is its own
d, hence the short form) and SFP (ICCV 2025). Deliberate difference: SFP's released code turns a whole image into
NaN where an outlier has no neighbour that is none; here its cosines are 0.
"""

import torch
from torch import Tensor

from .neighbours import neighbourhood_mean


def local_outlier_scores(tokens: Tensor, neighbours: int) -> Tensor:
    """The local outlier factor of every token.

    Args:
        tokens: "b n d".
        neighbours: k.

    Returns:
        "b n", about 1 for tokens in whose surroundings tokens lie as densely as around their neighbours.

    Raises:
        ValueError: there are not more than k tokens.
    """
    count = tokens.shape[1]
    if count <= neighbours:
        raise ValueError(
            f'the outlier test compares each patch with {neighbours} others, the grid has {count} patches; '
            "give larger images or windows, or a smaller number in the surgery's constants['neighbours']"
        )
    distances = squared_distances(tokens)
    nearest = distances.topk(neighbours + 1, dim=-1, largest=False)
    reach = nearest.values[..., -1]
    # The nearest of all is the token itself, at distance 0.
    density = reach.reciprocal().unsqueeze(1).expand_as(distances).gather(2, nearest.indices[..., 1:])
    return reach * density.mean(dim=-1)


def squared_distances(tokens: Tensor) -> Tensor:
    """Squared distance of every two tokens: "b n d" -> "b n n"; below 0 to themselves, so that nothing is nearer."""
    centred = tokens - tokens.mean(dim=1, keepdim=True)
    squares = centred.square().sum(dim=-1)
    distances = squares[:, :, None] + squares[:, None] - 2 * centred @ centred.mT
    own = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
    return distances.clamp_min(0).masked_fill(own, -1.0)


def local_outliers(tokens: Tensor, neighbours: int, share: float) -> Tensor:
    """Which tokens are outliers by the local outlier factor.

    Args:
        tokens: "b n d".
        neighbours: as for `local_outlier_scores`.
        share: of an image's tokens that are outliers, in [0, 1].

    Returns:
        "b n", bool.
    """
    scores = local_outlier_scores(tokens, neighbours).float()
    return scores > scores.quantile(1 - share, dim=-1, keepdim=True)


def class_outliers(class_attention: Tensor, own_attention: Tensor, gain: float, most: int) -> Tensor:
    """Which patches are outliers by what the class token takes from them.

    Args:
        class_attention: "b n", what the class token takes from each patch.
        own_attention: "b n", what each patch takes from itself.
        gain: what the first is multiplied by before they are compared.
        most: outliers of an image.

    Returns:
        "b n", bool.
    """
    candidates = class_attention.masked_fill(gain * class_attention <= own_attention, -1.0)
    best = candidates.topk(min(most, candidates.shape[-1]), dim=-1)
    chosen = torch.zeros_like(candidates, dtype=torch.bool)
    return chosen.scatter(-1, best.indices, best.values > 0)


def repaired(tokens: Tensor, outliers: Tensor, grid: tuple[int, int], keep_lone: bool) -> Tensor:
    """Tokens with each outlier replaced by the mean of its neighbours that are none.

    Args:
        tokens: "b n d", patches row by row.
        outliers: "b n", bool.
        grid: (h, w).
        keep_lone: an outlier all of whose neighbours are outliers stays as it is (True) or becomes 0 (False).

    Returns:
        "b n d".
    """
    bad = outliers[:, :, None]
    good = (~bad).to(tokens.dtype)
    # Counts are whole numbers of ninths.
    count = (9 * neighbourhood_mean(good, grid)).round()
    mean = 9 * neighbourhood_mean(tokens * good, grid) / count.clamp_min(1)
    lone = count == 0
    return torch.where(bad & ~(lone & keep_lone), mean, tokens)
