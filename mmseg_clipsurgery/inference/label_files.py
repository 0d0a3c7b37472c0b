"""Label maps as PNG files, 8 or 16 bits."""

from pathlib import Path

import numpy as np
from PIL import Image

from ..environment.files import atomic_write


def write_labels(path: str | Path, labels: np.ndarray, classes: int, offset: int = 0) -> None:
    """Write labels "H W" as a one-channel PNG.

    Args:
        path: folders are made as needed.
        labels: class indices in [0, classes).
        classes: number of classes, which fixes the depth for all images alike: 16 bits as soon as a class would be
            255, the ignored label of 8-bit masks, or more.
        offset: added to each label; 1 for a data set loaded with `reduce_zero_label`, whose masks count from 1.
    """
    depth = np.uint8 if classes - 1 + offset < 255 else np.uint16
    image = Image.fromarray((labels.astype(np.int64) + offset).astype(depth))
    atomic_write(path, lambda temporary: image.save(temporary, format='PNG'))
