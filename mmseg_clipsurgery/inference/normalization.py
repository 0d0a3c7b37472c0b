"""Pixels in grey levels -> what a CLIP's image tower expects.

    (pixel - 255 mean) / (255 std)     per RGB channel; mean and std are CLIP's, for values in [0, 1]

In float32 whatever the tower's dtype: bf16 holds no more than 8 bits of a pixel.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Statistics(NamedTuple):
    """Mean and standard deviation of the RGB channels in grey levels, "3 1 1" fp32 each."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> 'Statistics':
        """From numbers in grey levels, three each."""
        return cls(*(torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (mean, std)))


def tower_statistics(tower: Any) -> dict[str, list[float]]:
    """`mean` and `std` (RGB, in grey levels 0 to 255) that a tower was trained with."""
    return {name: [value * 255 for value in getattr(tower, name)] for name in ('mean', 'std')}


def normalize_image(image: Tensor, statistics: Statistics) -> Tensor:
    """One RGB image "3 H W" in grey levels, uint8 or floating point -> normalised "3 H W", fp32."""
    mean, std = (values.to(image.device) for values in statistics)
    return (image.float() - mean) / std


def renormalised(images: Tensor, tower: Any, guide: Any) -> Tensor:
    """Images "b 3 H W" normalised for one tower, normalised for another; both have `mean` and `std`."""
    mean, std, other_mean, other_std = (
        torch.tensor(values, dtype=images.dtype, device=images.device).view(-1, 1, 1)
        for values in (tower.mean, tower.std, guide.mean, guide.std)
    )
    return (images * std + mean - other_mean) / other_std
