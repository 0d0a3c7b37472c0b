"""Quietened tokens: where CLIP's sink channels stand out, a token is mixed with its neighbourhood.

    z    = x - min over channels of x
    bad  : max over the sink channels of z / (sum over channels of z)  >  ratio / d
    x   <- (1 - moved) x + moved (mean of the 3 x 3 neighbourhood, zeros outside)           where bad

RF-CLIP does this after every block, so that CLIP's own path is changed, and with it the class token.

Source: RF-CLIP (arXiv 2511.16170), as released; the paper describes another rule.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .neighbours import neighbourhood_mean


def loud(tokens: Tensor, sinks: Sequence[int], ratio: float) -> Tensor:
    """Which tokens hold more than `ratio` times their share in a sink channel.

    Args:
        tokens: "b n d".
        sinks: channels.
        ratio: of a channel's share in a token that is even, 1 / d.

    Returns:
        "b n", bool.
    """
    least = tokens.amin(dim=-1)
    width = tokens.shape[-1]
    total = tokens.sum(dim=-1) - width * least
    return (tokens[..., list(sinks)].amax(dim=-1) - least) * width > ratio * total


def quietened(
    tokens: Tensor, grid: tuple[int, int], sinks: Sequence[int], ratio: float, moved: float
) -> Tensor:
    """Tokens of which the loud ones are mixed with their neighbourhood.

    Args:
        tokens: "b n d", patches row by row.
        grid: (h, w).
        sinks, ratio: as for `loud`.
        moved: weight of the neighbourhood, in [0, 1].

    Returns:
        "b n d".
    """
    mixed = torch.lerp(tokens, neighbourhood_mean(tokens, grid), moved)
    return torch.where(loud(tokens, sinks, ratio).unsqueeze(-1), mixed, tokens)
