"""Heat maps for the eye and point prompts for a promptable segmentor such as SAM.

    heat map   per class: (S - min S) / (max S - min S) over the patches, then bilinear to the image's size
    points     S down-sampled by 2, min-max; m = min(number of cells >= threshold, half of the cells);
               the m highest cells are positive points, the m lowest negative, each at its cell's middle
    combined   "person+bench": positives from each text's own map, negatives from the mean of their
               min-max maps

S is a similarity on the patch grid, patches row by row, without the class token (`similarity`: released
feature surgery for a list of words, single-text surgery for one word and for combined texts).

Source: Li et al., CLIP Surgery (arXiv 2304.05653), text to points, and the rules of the authors' public code,
whose numbers these functions give to the pixel. Deliberate differences: grids need not be square; a map
without contrast gives a zero heat map and no points (there: NaN, and every cell without a label); cells of
equal similarity rank in reading order; a grid narrower than `downsample` keeps one cell a side.
"""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from .environment.numbers import check_count, check_number

MapScale = Literal['minmax', 'absolute']
Size = tuple[int, int]


def similarity_map(similarity: Tensor, grid: Size, size: Size, scale: MapScale = 'minmax') -> Tensor:
    """One map per class at the image's size.

    Min-max is for display only: it stretches the map of an absent class just as far, so maps of several
    classes or images can't be compared. For that, 'absolute' leaves the values as they are.

    Args:
        similarity: "b n k", n = h * w patches row by row, without the class token.
        grid: (h, w) in patches.
        size: (H, W) in pixels.
        scale: 'minmax' maps each class of each image to [0, 1] over its patches (a constant map to 0);
            'absolute' only resizes.

    Returns:
        "b k H W", bilinear (pixel centres aligned, not corners).

    Raises:
        ValueError: unknown scale, or a shape that doesn't fit the grid.
    """
    if scale not in get_args(MapScale):
        raise ValueError(f'a similarity map has the scales {get_args(MapScale)}, got {scale!r}')
    if similarity.dim() != 3 or similarity.shape[1] != grid[0] * grid[1]:
        raise ValueError(
            f'similarity must be "b n k" with n = {grid[0]} * {grid[1]} patches and no class token, '
            f'got the shape {tuple(similarity.shape)}'
        )
    _check_size(size)
    maps = similarity.mT.unflatten(-1, grid)
    if scale == 'minmax':
        maps = unit_range(maps)
    return functional.interpolate(maps, tuple(size), mode='bilinear')


def points(
    similarity: Tensor, size: Size, threshold: float = 0.8, downsample: int = 2
) -> tuple[Tensor, Tensor]:
    """Positive and negative point prompts for one text.

    Args:
        similarity: "h w" on the patch grid, in any range.
        size: (H, W) of the image in pixels.
        threshold: in [0, 1], after min-max: cells from here up are positive.
        downsample: the grid is made this many times smaller first, which smooths it.

    Returns:
        xy: "p 2" int64 pixels, x before y: first the positives from the lowest similarity up, then as many
            negatives from the lowest up. A map without contrast gives no points (p = 0).
        labels: "p" uint8, 1 positive, 0 negative.

    Raises:
        ValueError: a shape, threshold or down-sampling out of range, or NaN or infinity in the map.
    """
    if similarity.dim() != 2:
        raise ValueError(f'similarity must be "h w", the map of one text, got {tuple(similarity.shape)}')
    _check_points(similarity, size, threshold, downsample)
    cells = unit_range(_downsample(similarity, downsample))
    order = cells.flatten().sort(stable=True).indices
    count = int((cells >= threshold).sum().clamp(max=cells.numel() // 2)) if cells.any() else 0
    chosen = torch.cat([order[order.numel() - count :], order[:count]])
    labels = torch.ones_like(chosen, dtype=torch.uint8)
    labels[count:] = 0
    return _cell_middles(chosen, (cells.shape[0], cells.shape[1]), size), labels


def combined_points(
    similarity: Tensor, size: Size, threshold: float = 0.8, downsample: int = 2
) -> tuple[Tensor, Tensor]:
    """Point prompts for several texts that make up one target ("person+bench").

    Args:
        similarity: "k h w", one map per text, of single-text surgery.
        size, threshold, downsample: as for `points`.

    Returns:
        xy: "p 2" int64 pixels, x before y: first the negatives of the mean map, then the
            positives of each text.
        labels: "p" uint8, 1 positive, 0 negative.

    Raises:
        ValueError: as `points`.
    """
    if similarity.dim() != 3 or len(similarity) == 0:
        raise ValueError(f'similarity must be "k h w", one map per text, got {tuple(similarity.shape)}')
    _check_points(similarity, size, threshold, downsample)
    mean_map = unit_range(similarity).mean(dim=0)
    xy, labels = points(mean_map, size, threshold, downsample)
    chosen = [(xy[labels == 0], labels[labels == 0])]
    for text_map in similarity:
        xy, labels = points(text_map, size, threshold, downsample)
        chosen.append((xy[labels == 1], labels[labels == 1]))
    return torch.cat([xy for xy, _ in chosen]), torch.cat([labels for _, labels in chosen])


def unit_range(maps: Tensor) -> Tensor:
    """Maps "... h w" to [0, 1], each by itself; a constant map to 0."""
    lowest = maps.amin(dim=(-2, -1), keepdim=True)
    span = maps.amax(dim=(-2, -1), keepdim=True) - lowest
    return (maps - lowest) / span.where(span > 0, torch.ones_like(span))


def _downsample(similarity: Tensor, factor: int) -> Tensor:
    """Map "h w" to "h/factor w/factor", rounded down; in float32 at least, so that ranks are not ties."""
    height, width = (max(side // factor, 1) for side in similarity.shape)
    maps = similarity.to(torch.promote_types(similarity.dtype, torch.float32))[None, None]
    return functional.interpolate(maps, (height, width), mode='bilinear')[0, 0]


def _cell_middles(cells: Tensor, grid: Size, size: Size) -> Tensor:
    """Pixels "p 2" (x, y) under the middles of cells "p", numbered row by row.

    In float32 on purpose: a middle that falls on a pixel's edge is rounded as the authors' code rounds it.
    """
    (height, width), (grid_height, grid_width) = size, grid
    x = ((cells % grid_width).float() + 0.5) * (width / grid_width)
    y = ((cells // grid_width).float() + 0.5) * (height / grid_height)
    return torch.stack([x.clamp(max=width - 1), y.clamp(max=height - 1)], dim=-1).long()


def _check_points(similarity: Tensor, size: Size, threshold: float, downsample: int) -> None:
    _check_size(size)
    if not similarity.numel() or not similarity.isfinite().all():
        raise ValueError('similarity is empty or holds NaN or infinity: check the image and the weights')
    check_point_settings(threshold, downsample)


def check_point_settings(threshold: float, downsample: int) -> None:
    """Refuse a threshold outside [0, 1], since it applies after min-max, and a factor below 1. Raises ValueError."""
    check_number('threshold', threshold, 0, 1)
    check_count('downsample', downsample)


def _check_size(size: Size) -> None:
    if len(size) != 2 or not all(isinstance(side, int) and side >= 1 for side in size):
        raise ValueError(f'size must be (height, width) in pixels, both at least 1, got {tuple(size)}')
