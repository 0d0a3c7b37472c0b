"""Label maps that are hard on a format: holes in holes, single pixels, lines, parts that touch at corners, borders.

And what a test needs to compare drawn polygons with them.
"""

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ('background', 'cat', 'sofa', 'наклейка')


def blots(height: int, width: int, count: int = len(CLASSES), seed: int = 0) -> np.ndarray:
    """Smooth blots of labels below `count`, "H W" int64."""
    coarse = np.random.default_rng(seed).random((count, 5, 6)).astype(np.float32)
    planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC) for plane in coarse]
    return np.stack([np.asarray(plane) for plane in planes]).argmax(axis=0)


def rings() -> np.ndarray:
    """Frames in frames, with a speck in the middle and a second hole beside: "15 25"."""
    labels = np.zeros((15, 25), np.int64)
    labels[1:14, 1:20] = 1
    labels[3:12, 3:12] = 0
    labels[5:10, 5:10] = 1
    labels[7, 7] = 2
    labels[4:9, 14:17] = 3
    return labels


def specks() -> np.ndarray:
    """Every tenth pixel of a class of its own, and lines in all directions: "30 30"."""
    labels = np.where(np.random.default_rng(0).random((30, 30)) < 0.1, 1, 0)
    labels[5, :] = labels[:, 7] = 2
    np.fill_diagonal(labels, 3)
    return labels


MAPS = {
    'blots': blots(40, 52),
    'noise': np.random.default_rng(1).integers(0, 4, (24, 31)),
    'rings': rings(),
    'specks': specks(),
    'one class': np.ones((9, 7), np.int64),
    'background alone': np.zeros((9, 7), np.int64),
    'one pixel': np.full((1, 1), 2),
    'a strip': np.random.default_rng(2).integers(0, 4, (1, 60)),
}


def drawn(corners: list, size: tuple[int, int]) -> np.ndarray:
    """A polygon as LabelMe fills it (Pillow, outline included): "H W" bool; size (height, width)."""
    canvas = Image.new('1', size[::-1])
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in corners], outline=1, fill=1)
    return np.asarray(canvas)


def union(shapes: list, size: tuple[int, int]) -> np.ndarray:
    """What any of the polygons covers: "H W" bool."""
    return np.any([drawn(corners, size) for corners in shapes] or [np.zeros(size, bool)], axis=0)


def border(mask: np.ndarray) -> np.ndarray:
    """Pixels within one pixel of where a mask begins or ends: its 3 x 3 maximum is not its 3 x 3 minimum."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 1, 'edge'), (3, 3))
    return windows.any((2, 3)) & ~windows.all((2, 3))
