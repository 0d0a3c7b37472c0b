"""Predictions as files: label masks (PNG, 8 or 16 bits) and class scores (npz, fp16).

A file takes its name from its image. Where the images of a data set lie in several folders, names may repeat
(`a/0001.jpg`, `b/0001.jpg`), so they are kept relative to the folder that all images share. A file is written
under a temporary name and renamed, because two processes may save the same image at the same time: a
distributed sampler repeats some.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from ..environment.files import atomic_write


def common_folder(image_paths: Iterable[str]) -> str | None:
    """The deepest folder that holds all images, or None if there is none."""
    folders = {os.path.dirname(path) for path in image_paths}
    try:
        return os.path.commonpath(folders) if folders else None
    except ValueError:
        return None


def file_name(image_path: str, folder: str | None, suffix: str) -> str:
    """The image's path below `folder`, or its base name if that is None, with another suffix."""
    name = os.path.relpath(image_path, folder) if folder else os.path.basename(image_path)
    return os.path.splitext(name)[0] + suffix


def write_labels(path: str | Path, labels: np.ndarray, classes: int, offset: int = 0) -> None:
    """Write labels "h w" as a one-channel PNG.

    Args:
        labels: class indices in [0, classes).
        offset: added to each label; 1 for a data set read with `reduce_zero_label`, whose masks count from 1.
        classes: number of classes, which fixes the depth for all images alike: 16 bits as soon as a class would be
            255, the ignored label of 8-bit masks, or more.
    """
    depth = np.uint8 if classes - 1 + offset < 255 else np.uint16
    image = Image.fromarray((labels.astype(np.int64) + offset).astype(depth))
    atomic_write(path, lambda temporary: image.save(temporary, format='PNG'))


def write_scores(path: str | Path, scores: np.ndarray) -> None:
    """Write class scores "k h w" in [0, 1] as half floats under the key `scores` of a compressed npz."""
    half = scores.astype(np.float16)

    def save(temporary: Path) -> None:
        with temporary.open('wb') as file:
            np.savez_compressed(file, scores=half)

    atomic_write(path, save)
