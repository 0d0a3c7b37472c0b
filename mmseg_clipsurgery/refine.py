"""PAMR: pixel-adaptive mask refinement, which moves the borders of soft masks onto the image's edges.

    N(p)      the 8 neighbours of pixel p at each dilation d: p + d (dy, dx), dy and dx in {-1, 0, 1};
              outside the image the nearest border pixel stands in
    sigma_c   standard deviation (n - 1) of channel c over p and N(p), p counted once per dilation
    A_pq      softmax over all q in N(p) of mean_c( -|x_pc - x_qc| / (1e-8 + 0.1 sigma_c) )
    mask      resized to the image (bilinear, corners aligned), then T times mask_p = sum_q A_pq mask_q

Nothing is learned. The affinities see only contrast relative to its surroundings, so brightness and contrast
of the image don't matter and the image may be normalised or not.

Source: Araslanov & Roth, Single-Stage Semantic Segmentation from Image Labels (CVPR 2020), with the constants
of the authors' public code. Deliberate difference: that code gathers the neighbours of all classes in one
(b, k, 8 * dilations, H, W) tensor. Here they are visited one by one, for a few classes at a time: next to
input and output stand (b, 8 * dilations, H, W) affinities and a few (b, chunk, H, W) tensors, and the result
is the same to the last bit whatever the chunk.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

CONTRAST_SCALE = 0.1  # of the local standard deviation
EPSILON = 1e-8
DIRECTIONS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))


def pamr(image: Tensor, mask: Tensor, iterations: int, dilations: Sequence[int], chunk: int = 4) -> Tensor:
    """Masks refined by the image; each image of a batch and each class by itself.

    Args:
        image: "b 3 H W", floating point, any range.
        mask: "b k h w", floating point: scores or probabilities of k classes at any resolution. A sum of 1
            over the classes stays 1.
        iterations: T, 0 or more; 0 only resizes.
        dilations: distances to the neighbours in pixels of the image, 1 or more each; one may
            exceed the image.
        chunk: classes refined at a time. Fewer need less memory and stay in a processor's cache, more suit a
            large accelerator; the result does not depend on it.

    Returns:
        "b k H W" in the mask's dtype, computed in float32 at least.

    Raises:
        ValueError: a setting out of range, or shapes or dtypes that don't fit.
    """
    _check(image, mask, iterations, dilations, chunk)
    working = torch.promote_types(torch.promote_types(image.dtype, mask.dtype), torch.float32)
    affinities = local_affinities(image.to(working), dilations)
    refined = functional.interpolate(mask.to(working), image.shape[2:], mode='bilinear', align_corners=True)
    for start in range(0, mask.shape[1], chunk):
        part = refined[:, start : start + chunk]
        for _ in range(iterations):
            part = _average(part, affinities, dilations)
        refined[:, start : start + chunk] = part
    return refined.to(mask.dtype)


def local_affinities(image: Tensor, dilations: Sequence[int]) -> Tensor:
    """Weight of every neighbour of every pixel, A above.

    Args:
        image: "b 3 H W".
        dilations: as for `pamr`.

    Returns:
        "b p H W", p = 8 * dilations, the 8 directions row by row within each dilation; sums to 1 over p.
    """
    scale = EPSILON + CONTRAST_SCALE * _local_deviation(image, dilations)
    contrast = [((image - near).abs() / scale).mean(dim=1) for near in _neighbours(image, dilations)]
    return torch.stack(contrast, dim=1).neg_().softmax(dim=1)


def _local_deviation(image: Tensor, dilations: Sequence[int]) -> Tensor:
    """Standard deviation "b 3 H W" over each pixel's neighbourhood, the pixel counted once per dilation."""
    centres = len(dilations)
    samples = centres * (1 + len(DIRECTIONS))
    mean = sum(_neighbours(image, dilations), start=centres * image) / samples
    squares = centres * (image - mean).square()
    for near in _neighbours(image, dilations):
        squares += (near - mean).square()
    return (squares / (samples - 1)).sqrt()


def _average(mask: Tensor, affinities: Tensor, dilations: Sequence[int]) -> Tensor:
    """One iteration: every pixel of "b k H W" becomes the weighted mean of its neighbours."""
    average = torch.zeros_like(mask)
    for weight, near in zip(affinities.unbind(dim=1), _neighbours(mask, dilations), strict=True):
        average += weight.unsqueeze(1) * near
    return average


def _neighbours(image: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """InputSizes "b c H W" of an image moved by each dilation in each direction, border pixels repeated."""
    (height, width), margin = image.shape[2:], max(dilations)
    padded = functional.pad(image, (margin,) * 4, mode='replicate')
    for dilation in dilations:
        for dy, dx in DIRECTIONS:
            top, left = margin + dy * dilation, margin + dx * dilation
            yield padded[:, :, top : top + height, left : left + width]


def _check(image: Tensor, mask: Tensor, iterations: int, dilations: Sequence[int], chunk: int) -> None:
    if image.dim() != 4 or mask.dim() != 4 or len(image) != len(mask):
        raise ValueError(
            f'image "b 3 H W" and mask "b k h w" must have one batch size, '
            f'got {tuple(image.shape)} and {tuple(mask.shape)}'
        )
    if not image.numel() or not mask.numel():
        raise ValueError(
            f'image and mask must not be empty, got {tuple(image.shape)} and {tuple(mask.shape)}'
        )
    if not image.is_floating_point() or not mask.is_floating_point():
        raise ValueError(f'image and mask must be floating point, got {image.dtype} and {mask.dtype}')
    if iterations < 0:
        raise ValueError(f'iterations must be 0 or more, got {iterations}')
    if not dilations or min(dilations) < 1:
        raise ValueError(f'dilations must be one or more distances of at least 1 pixel, got {dilations}')
    if chunk < 1:
        raise ValueError(f'chunk must be at least 1 class, got {chunk}')
