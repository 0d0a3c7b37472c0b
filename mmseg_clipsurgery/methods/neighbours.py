"""The 3 x 3 neighbourhood of every patch."""

import torch.nn.functional as F
from torch import Tensor


def neighbourhood_mean(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Sum over each token and its 8 neighbours, zeros outside the grid, divided by 9 also at the border.

    Args:
        tokens: "b n d", patches row by row; d may be 1.
        grid: (h, w).

    Returns:
        "b n d".
    """
    image = tokens.unflatten(1, grid).movedim(-1, 1)
    return F.avg_pool2d(image, 3, stride=1, padding=1).movedim(1, -1).flatten(1, 2)
