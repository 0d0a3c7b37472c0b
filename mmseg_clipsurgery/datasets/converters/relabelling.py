"""Old labels -> new labels of a mask, by a table that names every label the mask may hold."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ...environment.files import decoding
from ...inference.image_formats import open_image


def relabelled_mask(path: Path, table: Mapping[int, int]) -> Callable[[], Image.Image]:
    """What reads a mask and returns it with other labels.

    Args:
        path: a one-channel mask.
        table: old label -> new label, for every label that the mask may hold.
    """

    return lambda: Image.fromarray(relabel(pixels(path), table, path))


def pixels(path: Path, mode: str | None = None) -> np.ndarray:
    """The pixels of an image file.

    Args:
        path: of the file, which exists.
        mode: Pillow's name of the mode to convert to; None: as they are, of a palette the numbers.

    Returns:
        "h w" or "h w c".

    Raises:
        ValueError: the file can't be decoded.
    """
    with decoding(path, 'image'), open_image(path) as image:
        return np.asarray(image.convert(mode) if mode else image)


def relabel(labels: np.ndarray, table: Mapping[int, int], path: Path) -> np.ndarray:
    """Exchange the labels of a mask.

    Args:
        labels: "h w" integers.
        table: old label -> new label, for every label that the mask may hold.
        path: the mask's file, for messages.

    Returns:
        "h w", uint8 where every new label of the table fits, else uint16.

    Raises:
        ValueError: several channels, no integers, or a label that is not in the table.
    """
    if labels.ndim != 2:
        raise ValueError(f'{path} has {labels.shape[2]} channels and a mask of labels has one')
    if labels.dtype.kind not in 'iu':
        raise ValueError(
            f'{path} holds {labels.dtype} numbers and labels are integers: is it the published file?'
        )
    unknown = sorted(set(np.unique(labels).tolist()) - set(table))
    if unknown:
        raise ValueError(
            f'{path} holds label {unknown[-1]}, which its data set does not have: is it the published file?'
        )
    lookup = np.zeros(max(table) + 1, np.uint16 if max(table.values()) > 255 else np.uint8)
    lookup[list(table)] = list(table.values())
    return lookup[labels]


def stated_size(path: Path) -> tuple[int, int]:
    """(width, height) that the head of an image file states. Raises ValueError where it is no image."""
    with decoding(path, 'image'), open_image(path) as image:
        return image.size


def check_same_size(mask: Path, image: Path) -> tuple[int, int]:
    """(width, height) of a mask as published. Raises ValueError where its image has another size."""
    own, other = stated_size(mask), stated_size(image)
    if own != other:
        raise ValueError(f'{mask} is {own} and its image {other} (width x height): get both anew')
    return own
