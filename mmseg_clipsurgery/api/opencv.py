"""The one door to OpenCV: files are decoded and pixels resized as MMSeg's pipelines do it through mmcv, to the bit.

Masks get their borders here too.
"""

from typing import Literal

import cv2
import numpy as np

Interpolation = Literal['bilinear', 'bicubic', 'area']
CODES = {'bilinear': cv2.INTER_LINEAR, 'bicubic': cv2.INTER_CUBIC, 'area': cv2.INTER_AREA}


def decode(data: bytes, keep_depth: bool = False) -> np.ndarray | None:
    """An encoded image -> "H W 3" RGB, turned upright by EXIF; None for bytes that OpenCV can't decode.

    uint8; with `keep_depth` of the type that the file holds.
    """
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if keep_depth else 0)
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # no bytes at all, or more pixels than OpenCV's limit
        return None
    if bgr is None or bgr.ndim == 2:  # grey floats
        return None if bgr is None else np.repeat(bgr[..., None], 3, axis=2)
    if bgr.dtype in (np.uint8, np.uint16, np.float32):
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(bgr[..., ::-1])


def resize(
    pixels: np.ndarray, size: tuple[int, int], interpolation: Interpolation = 'bilinear'
) -> np.ndarray:
    """Pixels "H W 3", uint8 or float32, at another size (height, width)."""
    return cv2.resize(pixels, size[::-1], interpolation=CODES[interpolation])


def size_within(size: tuple[int, int], short_side: int, long_side: int) -> tuple[int, int]:
    """The largest size (height, width) with the ratio of `size` whose sides do not exceed the given ones.

    Rounded as mmcv's `rescale_size` does, but never below one pixel. The larger of the two limits is the long side's,
    whichever it is.
    """
    limits = sorted((short_side, long_side))
    scale = min(limits[1] / max(size), limits[0] / min(size))
    height, width = (max(1, int(side * scale + 0.5)) for side in size)
    return height, width


def contours(mask: np.ndarray) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """Borders of the 8-connected parts of a mask "H W" bool, and of the holes in each.

    Returns:
        For each part its outer border and those of its holes: all pixels of the part that touch what is outside, in
        order, each "p 2" int64, (x, y).
    """
    flat = np.ascontiguousarray(mask, dtype=np.uint8)
    found, hierarchy = cv2.findContours(flat, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    borders = [border.reshape(-1, 2).astype(np.int64) for border in found]
    parents = [] if hierarchy is None else hierarchy.reshape(-1, 4)[:, 3].tolist()
    parts: dict[int, tuple[np.ndarray, list[np.ndarray]]] = {
        number: (borders[number], []) for number, parent in enumerate(parents) if parent < 0
    }
    for border, parent in zip(borders, parents, strict=True):
        if parent >= 0:
            parts[parent][1].append(border)
    return list(parts.values())


def simplified(line: np.ndarray, tolerance: float) -> np.ndarray:
    """A closed line "p 2" int64 with fewer corners, none of its points further from it than a tolerance in pixels."""
    return cv2.approxPolyDP(line.astype(np.int32), tolerance, True).reshape(-1, 2).astype(np.int64)
