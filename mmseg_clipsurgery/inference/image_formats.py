"""Which formats Pillow may read here: not those for which it starts a program or hands the file to other software.

A PostScript file (EPS), whatever its name ends in, makes Pillow start Ghostscript, which executes it.

How many pixels a file may have, Pillow looks up in its header: 178,956,970, or what the environment variable
`LIMIT_VARIABLE` says.
"""

import os
from pathlib import Path
from typing import BinaryIO

from PIL import Image

LIMIT_VARIABLE = 'MMSEG_CLIPSURGERY_MAX_PIXELS'
NOT_READ = ('EPS', 'WMF', 'BUFR', 'GRIB', 'HDF5', 'MPEG')


def open_image(file: str | Path | BinaryIO) -> Image.Image:
    """As `PIL.Image.open`; raises `PIL.UnidentifiedImageError` for the formats above."""
    Image.init()  # makes all formats known
    if given := os.environ.get(LIMIT_VARIABLE, ''):
        allow_pixels(given)
    return Image.open(file, formats=[kind for kind in Image.ID if kind not in NOT_READ])


def allow_pixels(most: int | str) -> None:
    """Let Pillow decode files of so many pixels, in this process. Raises ValueError for what is no number of them."""
    if not str(most).isdecimal() or int(most) < 1:
        raise ValueError(f'{LIMIT_VARIABLE} must be a whole number of pixels, got {most!r}')
    Image.MAX_IMAGE_PIXELS = -(-int(most) // 2)  # Pillow refuses twice as many


def refuse_bomb(path: str | Path) -> None:
    """Refuse a file whose header promises more pixels than are taken; what Pillow does not know is left to others.

    Raises:
        ValueError: it does.
    """
    try:
        with open_image(path):
            return
    except Image.DecompressionBombError as error:
        raise ValueError(f'{path}: {error} Shrink it, or raise the limit by {LIMIT_VARIABLE}') from None
    except (OSError, SyntaxError, LookupError):  # of Pillow's readers
        return
