"""The one door to OpenCV: files are decoded and pixels resized as MMSeg's pipelines do it through mmcv, to the bit."""

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
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


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
