"""Labels as a PNG with a palette, as PASCAL VOC's masks: a pixel's value is its label, viewers show its colour."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...environment.files import atomic_write

MOST_CLASSES = 255  # of 8 bits; 255 itself is the label that data sets ignore


def write_palette(path: str | Path, labels: np.ndarray, colours: Sequence[Sequence[int]]) -> None:
    """Write labels "H W" as an 8-bit PNG with a palette.

    Args:
        path: folders are made as needed.
        labels: in [0, k).
        colours: RGB in [0, 255] of each of the k classes.

    Raises:
        ValueError: more than `MOST_CLASSES` classes.
    """
    check_palette(len(colours))
    image = Image.fromarray(labels.astype(np.uint8)).convert('P')
    image.putpalette([value for colour in colours for value in colour])
    atomic_write(path, lambda temporary: image.save(temporary, format='PNG'))


def check_palette(classes: int) -> None:
    """Raises ValueError for more classes than a palette PNG can tell apart."""
    if classes > MOST_CLASSES:
        raise ValueError(
            f'a palette PNG holds up to {MOST_CLASSES} classes, got {classes}; take the label map (save_labels, which '
            'writes 16 bits) or another format'
        )
