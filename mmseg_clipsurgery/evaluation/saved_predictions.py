"""Predictions as files: names for them, and class scores (npz, fp16); label masks are `inference.label_files`.

A file takes its name from its image. Where the images of a data set lie in several folders, names may repeat
(`a/0001.jpg`, `b/0001.jpg`), so they are kept relative to the folder that all images share. A file is written
under a temporary name and renamed, because two processes may save the same image at the same time: a
distributed sampler repeats some.
"""

import os
from pathlib import Path

import numpy as np

from ..environment.files import atomic_write


def file_name(image_path: str, folder: str | None, suffix: str) -> str:
    """The image's path below `folder`, or its base name if that is None, with another suffix."""
    name = os.path.relpath(image_path, folder) if folder else os.path.basename(image_path)
    return os.path.splitext(name)[0] + suffix


def write_scores(path: str | Path, scores: np.ndarray) -> None:
    """Write class scores "k h w" in [0, 1] as half floats under the key `scores` of a compressed npz."""
    half = scores.astype(np.float16)

    def save(temporary: Path) -> None:
        with temporary.open('wb') as file:
            np.savez_compressed(file, scores=half)

    atomic_write(path, save)
