"""Whole and sliding-window inference over a batch of images of any sizes, as pure functions.

    windows of all images -> batches of equal windows -> read -> grid logits -> upsampled over the window
    -> summed into their image -> divided by how many windows saw each pixel

The last row and column of windows are shifted inside the image; a window larger than the image is clipped to it. A
window whose side is no multiple of the patch loses the remainder at right and bottom, and its logits are upsampled over
the whole window, unless it is padded (ClearCLIP): centred zeros up to a multiple of the patch, cut from its logits.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]
logger = logging.getLogger('mmseg_clipsurgery')


class Box(NamedTuple):
    """A window in pixels: rows top to bottom, columns left to right, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int


def window_boxes(size: Size, crop: Size | None, stride: Size | None) -> list[Box]:
    """Windows that cover an image of size (H, W), row by row; one window over all of it where `crop` is None."""
    if crop is None:
        return [Box(0, 0, *size)]
    rows, columns = (window_spans(*sides) for sides in zip(size, crop, stride, strict=True))
    return [Box(top, left, bottom, right) for top, bottom in rows for left, right in columns]


def window_spans(length: int, crop: int, stride: int) -> list[tuple[int, int]]:
    """Windows along one side: starts every `stride`, the last one shifted inside."""
    crop = min(crop, length)
    count = -(-(length - crop) // stride) + 1
    starts = [min(i * stride, length - crop) for i in range(count)]
    return [(start, start + crop) for start in starts]


def image_logits(
    images: Sequence[Tensor],
    read: Callable[[Tensor], Tensor],
    crop: Size | None = None,
    stride: Size | None = None,
    window_batch: int = 16,
    pad_to: int | None = None,
) -> list[Tensor]:
    """Logits of every image at its own size.

    Args:
        images: each "3 H W", of any sizes.
        read: windows "b 3 h w" -> logits on the patch grid "b q gh gw".
        crop, stride: window size and step (height, width) in pixels; None: whole images.
        window_batch: windows read at once, over all images; only windows of one size share a batch.
        pad_to: pad windows to a multiple of this many pixels.

    Returns:
        One "q H W" per image, the average over the windows that saw each pixel.
    """
    boxes = [window_boxes(tuple(image.shape[1:]), crop, stride) for image in images]
    sums: list[Tensor | None] = [None] * len(images)
    for batch in window_batches(boxes, window_batch):
        windows = torch.stack([cut(images[i], box) for i, box in batch])
        logits = over_window(read, windows, pad_to)
        for (i, box), part in zip(batch, logits, strict=True):
            if len(boxes[i]) == 1:
                sums[i] = part
                continue
            if sums[i] is None:
                sums[i] = part.new_zeros(len(part), *images[i].shape[1:])
            cut(sums[i], box).add_(part)
    return [
        total if len(seen) == 1 else total.div_(window_counts(total, seen))
        for total, seen in zip(sums, boxes, strict=True)
    ]


def window_batches(boxes: Sequence[Sequence[Box]], window_batch: int) -> Iterator[list[tuple[int, Box]]]:
    """Batches of (image index, box) of one window size each, in the order of images and boxes."""
    by_size: dict[Size, list[tuple[int, Box]]] = {}
    for i, image_boxes in enumerate(boxes):
        for box in image_boxes:
            by_size.setdefault((box.bottom - box.top, box.right - box.left), []).append((i, box))
    for same in by_size.values():
        for start in range(0, len(same), window_batch):
            yield same[start : start + window_batch]


def over_window(read: Callable[[Tensor], Tensor], windows: Tensor, pad_to: int | None) -> Tensor:
    """Read windows "b 3 h w" and upsample their grid logits over the window: "b q h w"."""
    height, width = windows.shape[2:]
    top, bottom = centred(height, pad_to)
    left, right = centred(width, pad_to)
    padded = F.pad(windows, (left, right, top, bottom)) if top or bottom or left or right else windows
    logits = resize(read(padded), tuple(padded.shape[2:]))
    return logits[:, :, top : top + height, left : left + width]


def centred(length: int, multiple: int | None) -> tuple[int, int]:
    """Padding before and after that makes `length` a multiple, the odd pixel after."""
    missing = -length % multiple if multiple else 0
    return missing // 2, missing - missing // 2


def resize(logits: Tensor, size: Size) -> Tensor:
    """Bilinear, align_corners=False: "b q h w" -> "b q H W"; the same size is left as it is."""
    if tuple(logits.shape[2:]) == tuple(size):
        return logits
    return F.interpolate(logits, size=tuple(size), mode='bilinear', align_corners=False)


def window_counts(like: Tensor, boxes: Sequence[Box]) -> Tensor:
    """How many windows see each pixel: "1 H W"."""
    counts = like.new_zeros(1, *like.shape[1:])
    for box in boxes:
        cut(counts, box).add_(1)
    return counts


def cut(image: Tensor, box: Box) -> Tensor:
    """The view of an image "c H W" inside a box."""
    return image[:, box.top : box.bottom, box.left : box.right]
