"""Maps that explain nothing, as the rows that every other one must beat.

    random    noise that belongs to an image and a text, the same whenever they come again
    centre    minus the distance from the image's centre, whatever is there

Neither reads the weights: both look stable to weight randomisation. Both have the surgery of raw CLIP for its tower
check alone, so that ResNets have them too.
"""

import zlib

import torch
from torch import Tensor

from ..explainers.explainer import Explainer
from ..explainers.walk import Walk
from ..surgery import SURGERIES


def random_map(walk: Walk, text: Tensor) -> Tensor:
    """Uniform noise "b t h w", seeded by the rounded values of image and text."""
    rows = [
        [noise(walk.grid, rounded(image, 16) + rounded(word, 64)) for word in text] for image in walk.images
    ]
    return torch.stack([torch.stack(row) for row in rows]).to(text.device)


def noise(grid: tuple[int, int], content: bytes) -> Tensor:
    """Noise "h w" in [0, 1) that belongs to some content."""
    return torch.rand(grid, generator=torch.Generator().manual_seed(zlib.crc32(content)))


def rounded(values: Tensor, steps: int) -> bytes:
    """Values in steps of 1 / `steps`: arithmetic of other machines differs in last bits, and these seldom."""
    return (values * steps).round().to(torch.int16).cpu().numpy().tobytes()


def centre_prior(walk: Walk, text: Tensor) -> Tensor:
    """Minus the distance of each patch from the centre, "b 1 h w", in half diagonals of a square."""
    rows, columns = ((torch.arange(side) + 0.5) / side - 0.5 for side in walk.grid)
    distance = (rows[:, None] ** 2 + columns**2).sqrt()
    return -distance.to(text).expand(len(walk.images), 1, -1, -1)


FLOORS = {
    'random': Explainer('random map', random_map, surgery=SURGERIES['clip']),
    'centre': Explainer('centre prior', centre_prior, reads_text=False, surgery=SURGERIES['clip']),
}
