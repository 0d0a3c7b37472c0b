"""Which formats Pillow may read here: not those for which it starts a program or hands the file to other software.

A PostScript file (EPS), whatever its name ends in, makes Pillow start Ghostscript, which executes it.

How many pixels a file may have, Pillow looks up in its header: 178,956,970, or as many more as the environment variable
`LIMIT_VARIABLE` says (of the files of data sets: photos have `api.reading`).
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
    return Image.open(file, formats=[kind for kind in Image.ID if kind not in NOT_READ])


def heed_limit() -> None:
    """Let Pillow decode as many pixels as the environment says. Raises ValueError where it says no number of them."""
    given = os.environ.get(LIMIT_VARIABLE, '')
    if given and not given.isdecimal():
        raise ValueError(f'{LIMIT_VARIABLE} must be a whole number of pixels, got {given!r}')
    allow_pixels(int(given or 0))


def allow_pixels(most: int) -> None:
    """Let Pillow decode files of so many pixels, in this process; never fewer than before."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, -(-most // 2))  # Pillow refuses twice as many


def refuse_bomb(path: str | Path) -> None:
    """Refuse a file whose header promises more pixels than are taken; what Pillow does not know is left to others.

    Raises:
        ValueError: it does.
    """
    heed_limit()
    try:
        with open_image(path):
            return
    except Image.DecompressionBombError as error:
        raise ValueError(f'{path}: {error} Shrink it, or raise the limit by {LIMIT_VARIABLE}') from None
    except (OSError, SyntaxError, LookupError):  # of Pillow's readers
        return
