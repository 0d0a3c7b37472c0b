"""Label maps that are hard on a format: holes in holes, single pixels, lines, parts that touch at corners, borders."""

import numpy as np
from PIL import Image

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
