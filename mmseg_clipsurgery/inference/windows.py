"""Whole and sliding-window inference over a batch of images of any sizes.

    windows of all images -> batches of equal windows -> logits on the patch grid -> `TiledLogits`, one an image

Windows form a grid; the last row and column are shifted inside the image, and a window larger than the image is clipped
to it (logged once). A window whose side is no multiple of the patch loses the remainder at right and bottom, and its
logits are upsampled over the whole window, unless it is padded (ClearCLIP): centred zeros up to a multiple of the
patch, cut from its logits.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .tiled_logits import Size, TiledLogits, window_weights

Span = tuple[int, int]
logger = logging.getLogger('mmseg_clipsurgery')


class Windows(NamedTuple):
    """The windows of one image: every row span with every column span, in pixels, ends excluded."""

    rows: list[Span]
    columns: list[Span]

    @property
    def size(self) -> Size:
        """(height, width) of each window in pixels."""
        (top, bottom), (left, right) = self.rows[0], self.columns[0]
        return bottom - top, right - left


class Place(NamedTuple):
    """One window: the image's index and the window's place in its grid."""

    image: int
    row: int
    column: int


def window_logits(
    images: Sequence[Tensor],
    grid_logits_of: Callable[[Tensor], Tensor],
    crop: Size | None = None,
    stride: Size | None = None,
    window_batch: int = 16,
    pad_to: int | None = None,
) -> list[TiledLogits]:
    """Logits of every image at its own size, averaged over the windows that see each pixel.

    Args:
        images: each "3 H W", of any sizes.
        grid_logits_of: windows "b 3 h w" -> logits on the patch grid "b q gh gw".
        crop, stride: window size and step (height, width) in pixels; None: whole images.
        window_batch: windows in one call at most, over all images; only windows of one size share a batch.
        pad_to: pad windows to a multiple of this many pixels.

    Returns:
        One for each image.
    """
    found = window_logits_of_many(
        images, lambda pixels, _: [grid_logits_of(pixels)], crop, stride, window_batch, pad_to
    )
    return [logits for (logits,) in found]


def window_logits_of_many(
    images: Sequence[Tensor],
    grids_of: Callable[[Tensor, list[int]], Sequence[Tensor]],
    crop: Size | None = None,
    stride: Size | None = None,
    window_batch: int = 16,
    pad_to: int | None = None,
) -> list[list[TiledLogits]]:
    """As `window_logits` for many predictors that see the same windows: each window is cut once for all of them.

    Args:
        grids_of: (windows "b 3 h w", the image that each of them is of) -> logits on the patch grid "b q gh gw" by each
            predictor; grids may differ.
        images, crop, stride, window_batch, pad_to: as `window_logits`.

    Returns:
        For each image, its logits by each predictor.
    """
    windows = [windows_of(tuple(image.shape[1:]), crop, stride) for image in images]
    grids: list[list[list[list[Tensor]]]] = [[[[]] * len(w.columns) for _ in w.rows] for w in windows]
    finite: list[Tensor] = []
    for batch in window_batches(windows, window_batch):
        pixels = torch.stack([cut(images[place.image], windows[place.image], place) for place in batch])
        found_of_batch = grids_of(padded(pixels, pad_to), [place.image for place in batch])
        finite += [torch.isfinite(grid).all() for grid in found_of_batch]
        by_window = zip(*found_of_batch, strict=True)
        for place, logits in zip(batch, by_window, strict=True):
            grids[place.image][place.row][place.column] = [one.permute(1, 2, 0) for one in logits]
    check_finite(finite)
    found: list[list[TiledLogits]] = []
    weights: dict = {}  # of the pixels of one size over their grids, whatever the predictor
    for image, of_image, cells in zip(images, windows, grids, strict=True):
        found.append([])
        for k in range(len(cells[0][0])):
            each = [[cell[k] for cell in row] for row in cells]
            sizes = image.shape[1:], each[0][0].shape[:2]
            if sizes not in weights:
                weights[sizes] = pixel_weights(*sizes, of_image, pad_to)
            tiles = torch.cat([torch.cat(row, dim=1) for row in each])
            found[-1].append(TiledLogits(tiles.contiguous(), *weights[sizes]))
    return found


def check_finite(finite: Sequence[Tensor]) -> None:
    """Refuse logits that no label follows from; the host waits once for all of them.

    Args:
        finite: of each window batch, whether its logits are, "" bool.

    Raises:
        ValueError: some are not.
    """
    if finite and not torch.stack(list(finite)).all():
        raise ValueError(
            'the logits of a window hold NaN or infinite values, from which no label follows; look at the method, or '
            'take full precision'
        )


def windows_of(size: Size, crop: Size | None = None, stride: Size | None = None) -> Windows:
    """Windows that cover an image of size (H, W); one window over all of it where `crop` is None."""
    if crop is None or stride is None:
        crop = stride = size
    if crop[0] > size[0] or crop[1] > size[1]:
        log_clipping(crop)
    return Windows(*(window_spans(*sides) for sides in zip(size, crop, stride, strict=True)))


@cache
def log_clipping(crop: Size) -> None:
    """Log once for each window size that there are smaller images."""
    logger.warning('windows of %d x %d pixels (height x width) are clipped to images that are smaller', *crop)


def window_spans(length: int, crop: int, stride: int) -> list[Span]:
    """Windows along one side: starts every `stride`, the last one shifted inside."""
    crop = min(crop, length)
    count = -(-(length - crop) // stride) + 1
    starts = [min(i * stride, length - crop) for i in range(count)]
    return [(start, start + crop) for start in starts]


def window_batches(windows: Sequence[Windows], window_batch: int) -> Iterator[list[Place]]:
    """Batches of windows of one size each, in the order of images, rows and columns."""
    by_size: dict[Size, list[Place]] = {}
    for i, of_image in enumerate(windows):
        places = [Place(i, y, x) for y in range(len(of_image.rows)) for x in range(len(of_image.columns))]
        by_size.setdefault(of_image.size, []).extend(places)
    for same_size in by_size.values():
        for start in range(0, len(same_size), window_batch):
            yield same_size[start : start + window_batch]


def cut(image: Tensor, windows: Windows, place: Place) -> Tensor:
    """The pixels "c h w" of an image "c H W" in one of its windows."""
    return image[:, slice(*windows.rows[place.row]), slice(*windows.columns[place.column])]


def padded(pixels: Tensor, pad_to: int | None) -> Tensor:
    """Windows "b 3 h w" with centred zeros up to a multiple of `pad_to`; None: as they are."""
    (top, bottom), (left, right) = (margins(length, pad_to) for length in pixels.shape[2:])
    return F.pad(pixels, (left, right, top, bottom)) if top or bottom or left or right else pixels


def margins(length: int, multiple: int | None) -> Span:
    """Padding before and after that makes `length` a multiple, the odd pixel after."""
    missing = -length % multiple if multiple else 0
    return missing // 2, missing - missing // 2


def pixel_weights(size: Size, grid: Size, windows: Windows, pad_to: int | None) -> list[Tensor]:
    """Weights "H Y" and "W X" of the rows and columns of an image of a size (H, W) over its windows' grids (gh, gw)."""
    weights = []
    for side, spans in enumerate(windows):
        length = windows.size[side]
        before, after = margins(length, pad_to)
        weights.append(window_weights(size[side], spans, grid[side], before, before + length + after))
    return weights
