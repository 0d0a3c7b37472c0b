"""The photo a visitor looks at: one of the shipped scenes, or an uploaded file; and which of its pixels a click meets.

A `Photo` says which photo it is, not its pixels, so a visitor's session costs a few bytes; `read` gives these.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..api.image_files import decode_image
from ..api.reading import Reading
from ..scenes import draw_scene
from ..visualization.panels import panel
from .limits import Limits

SCENES, SPLIT = 6, 'val'


@dataclass(frozen=True)
class Photo:
    """Which photo.

    Args:
        name: of its file.
        digest: SHA-256 of the file's bytes, or the scene's name.
        path: the uploaded file; None for a scene.
    """

    name: str
    digest: str
    path: Path | None = None


def scene(index: int) -> Photo:
    """One of the shipped scenes. Raises ValueError where there is no such one."""
    if not 0 <= index < SCENES:
        raise ValueError(f'there are {SCENES} scenes, got the number {index}; choose one of them')
    name = f'{SPLIT}_{index:03d}'
    return Photo(f'{name}.png', f'scenes/{name}')


def uploaded(path: str | Path, limits: Limits) -> Photo:
    """The photo of an uploaded file, which is not decoded yet.

    Raises:
        ValueError: it is too large.
    """
    path = Path(path)
    limits.check_upload(path.stat().st_size)
    return Photo(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path)


def read(photo: Photo, reading: Reading) -> np.ndarray:
    """The photo's pixels "H W 3", uint8 RGB.

    Raises:
        ValueError: the file is no image, or one of too many pixels.
        FileNotFoundError: the page has removed it meanwhile.
    """
    if photo.path is None:
        return draw_scene(SPLIT, int(photo.digest.rpartition('_')[2])).image
    if not photo.path.is_file():
        raise FileNotFoundError(
            f'{photo.name} is no longer here, since uploads are removed after a day; upload it again'
        )
    return decode_image(photo.path.read_bytes(), photo.name, reading)


def thumbnails() -> list[Image.Image]:
    """Pictures of every scene."""
    return [panel(read(scene(index), Reading())) for index in range(SCENES)]


def pixel_at(click: tuple[int, int], shown: tuple[int, int], pixels: np.ndarray) -> tuple[int, int]:
    """The photo's pixel (x, y) under a click.

    Args:
        click: (x, y) in pixels of the picture that is shown.
        shown: that picture's (width, height).
        pixels: the photo, "H W 3".
    """
    sides = pixels.shape[1], pixels.shape[0]
    x, y = (
        min(max(int((at + 0.5) * side / width), 0), side - 1)
        for at, side, width in zip(click, sides, shown, strict=True)
    )
    return x, y
