"""Old labels -> new labels of a mask, by a table that names every label the mask may hold."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def relabelled_mask(path: Path, table: Mapping[int, int]) -> Callable[[], Image.Image]:
    """What reads a mask and returns it with other labels.

    Args:
        path: a one-channel mask.
        table: old label -> new label, for every label that the mask may hold.
    """

    def made() -> Image.Image:
        with Image.open(path) as mask:
            labels = np.asarray(mask)
        return Image.fromarray(relabel(labels, table, path))

    return made


def relabel(labels: np.ndarray, table: Mapping[int, int], path: Path) -> np.ndarray:
    """Exchange the labels of a mask.

    Args:
        labels: "h w" integers.
        table: old label -> new label, for every label that the mask may hold.
        path: the mask's file, for messages.

    Returns:
        "h w", uint8 where every new label of the table fits, else uint16.

    Raises:
        ValueError: several channels, or a label that is not in the table.
    """
    if labels.ndim != 2:
        raise ValueError(f'{path} has {labels.shape[2]} channels and a mask of labels has one')
    unknown = sorted(set(np.unique(labels).tolist()) - set(table))
    if unknown:
        raise ValueError(
            f'{path} holds label {unknown[-1]}, which its data set does not have: is it the published file?'
        )
    lookup = np.zeros(max(table) + 1, np.uint16 if max(table.values()) > 255 else np.uint8)
    lookup[list(table)] = list(table.values())
    return lookup[labels]
