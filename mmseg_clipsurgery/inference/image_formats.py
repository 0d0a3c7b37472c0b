"""Which formats Pillow may read here: not those for which it starts a program or hands the file to other software.

A PostScript file (EPS), whatever its name ends in, makes Pillow start Ghostscript, which executes it.
"""

from pathlib import Path
from typing import BinaryIO

from PIL import Image

NOT_READ = ('EPS', 'WMF', 'BUFR', 'GRIB', 'HDF5', 'MPEG')


def open_image(file: str | Path | BinaryIO) -> Image.Image:
    """As `PIL.Image.open`; raises `PIL.UnidentifiedImageError` for the formats above."""
    Image.init()  # makes all formats known
    return Image.open(file, formats=[kind for kind in Image.ID if kind not in NOT_READ])
