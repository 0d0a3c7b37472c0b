"""Image files -> pixels "H W 3" RGB: which files are images, and how their bytes are decoded.

OpenCV decodes as in MMSeg's `LoadImageFromFile`; what it does not know is tried with Pillow. A file that ends too early
is refused, not read as half a photo, and the header says how many pixels there are before any is decoded.
"""

import io
import logging
import re
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..environment.paths import user_path
from ..inference.image_formats import allow_pixels, open_image
from .opencv import decode
from .pixels import Pixels, from_array, from_pillow
from .reading import DEFAULT, Reading

logger = logging.getLogger('mmseg_clipsurgery')

ENDINGS = {b'\xff\xd8\xff': b'\xff\xd9', b'\x89PNG': b'IEND\xaeB`\x82'}  # how a file starts: how it ends
SUFFIXES = frozenset(
    ['.avif', '.bmp', '.dib', '.gif', '.heic', '.heif', '.j2k', '.jfif', '.jp2', '.jpe', '.jpeg', '.jpg']
)
SUFFIXES |= frozenset(['.pbm', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff', '.webp'])
STARTS = (b'\xff\xd8\xff', b'\x89PNG\r\n', b'GIF8', b'BM', b'II*\0', b'MM\0*', b'\0\0\0\x0cjP  ')
MAY_HOLD_MORE = (b'GIF8', b'II*\0', b'MM\0*', b'RIFF', b'\x89PNG')  # TIFF: CIELab too
BRANDS = (b'avif', b'avis', b'heic', b'heix', b'mif1', b'heif', b'hevc')  # of AVIF and HEIC, from byte 8 on


def read_bytes(path: Path) -> bytes:
    """The bytes of a photo's file. Raises FileNotFoundError, or ValueError for a folder."""
    path = user_path(path)
    if path.is_dir():
        raise ValueError(f'{path} is a folder; give its files, or use the command line, which takes folders')
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; check the path')
    return path.read_bytes()


def read_stream(stream: Any) -> bytes:
    """All bytes of a file object, from its beginning where it can go back. Raises ValueError for one of text."""
    if callable(getattr(stream, 'seekable', None)) and stream.seekable():
        stream.seek(0)
    try:
        data = stream.read()
    except UnicodeDecodeError:
        data = None
    if not isinstance(data, bytes):
        raise ValueError('got a file object of text, not of bytes; open it with mode "rb"')
    return data


def decode_image(data: bytes, name: str, reading: Reading = DEFAULT) -> Pixels:
    """The bytes of an image file -> "H W 3" uint8 RGB.

    Raises:
        ValueError: they are no whole image, or one of too many pixels; the message says `name`.
    """
    reading.check_pixels(header_pixels(data), name)
    check_content(data, name)
    if data.startswith(b'\x89PNG') and not sums_right(data):
        raise ValueError(
            f'{name} is damaged: a part of it is cut off or has another sum than it states; fetch it again'
        )
    whole = ends_whole(data)
    deep = decode(data, keep_depth=True) if whole and may_be_deep(data) else None
    if deep is not None and (most := netpbm_maximum(data)):
        return from_array(
            (deep.astype(np.float32) * (255 / most)).round().clip(0, 255).astype(np.uint8), reading
        )
    if deep is not None and deep.dtype != np.uint8 and not is_full(deep, reading):
        try:
            return from_array(deep, reading)
        except ValueError as error:
            raise ValueError(f'{name}: {error}') from None
    pixels = decode(data) if whole else None  # of full 16 bits OpenCV keeps the high byte
    return with_pillow(name, data, reading) if pixels is None else pixels


def is_full(pixels: Pixels, reading: Reading) -> bool:
    """Whether pixels use all of 16 bits."""
    return pixels.dtype == np.uint16 and reading.depth_of(pixels) == 16


def netpbm_maximum(data: bytes) -> int | None:
    """What white is in a Netpbm file (PGM, PPM), where it is neither 255 nor 65535; None for any other file."""
    words = re.sub(rb'#[^\n]*', b'', data[:1024]).split(maxsplit=4)
    if len(words) < 4 or words[0] not in (b'P2', b'P3', b'P5', b'P6') or not words[3].isdigit():
        return None
    most = int(words[3])
    return most if 0 < most < 65535 and most != 255 else None


def header_pixels(data: bytes) -> int:
    """Height times width as a file's header says; 0 where Pillow does not know the format."""
    if data.startswith(b'\x89PNG'):  # also where Pillow stumbles over what follows
        return int.from_bytes(data[16:20], 'big') * int.from_bytes(data[20:24], 'big')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with open_image(io.BytesIO(data)) as image:
                return image.width * image.height
    except Image.DecompressionBombError as error:
        return int(re.findall(r'\d+', str(error))[0])
    except Exception:  # Pillow's decoders have no common base
        return 0


def check_content(data: bytes, name: str) -> None:
    """Look at what a decoder would get wrong in silence: colours of CIELab, and images behind the first one.

    Raises:
        ValueError: the image is in CIELab, which decoders read as other colours.
    """
    if not data.startswith(MAY_HOLD_MORE):
        return
    try:
        with open_image(io.BytesIO(data)) as image:
            lab, frames = image.mode == 'LAB', getattr(image, 'n_frames', 1)
    except Exception:
        return  # the decoders say what is wrong
    if lab:
        raise ValueError(f'{name} is in CIELab, which is not read; convert it to RGB')
    if frames > 1:
        logger.warning('%s holds %d images; the first is read', name, frames)


def sums_right(data: bytes) -> bool:
    """Whether the parts of a PNG are there to its end, with the sums that they state.

    All of them count: damage can take the name of a part that decides pixels, such as the orientation.
    """
    place, kind = 8, b''
    while kind != b'IEND':
        size, kind = int.from_bytes(data[place : place + 4], 'big'), data[place + 4 : place + 8]
        end = place + 8 + size
        if end + 4 > len(data) or zlib.crc32(data[place + 4 : end]) != int.from_bytes(
            data[end : end + 4], 'big'
        ):
            return False
        place = end + 4
    return True


def may_be_deep(data: bytes) -> bool:
    """Whether a file may hold more than 8 bits a channel: no JPEG, GIF, BMP or WebP, nor a PNG that says otherwise."""
    if data.startswith(b'\x89PNG'):
        return data[24:25] == b'\x10'
    return not data.startswith((b'\xff\xd8\xff', b'GIF8', b'BM', b'RIFF'))


def begins_as_image(path: Path) -> bool:
    """Whether a file starts as an image does; False for what can't be opened or is no plain file."""
    try:
        if not path.is_file():
            return False
        with path.open('rb') as file:
            head = file.read(12)
    except OSError:
        return False
    if head.startswith(b'RIFF'):
        return head[8:] == b'WEBP'
    return head.startswith(STARTS) or (head[4:8] == b'ftyp' and head[8:] in BRANDS)


def ends_whole(data: bytes) -> bool:
    """Whether a JPEG or PNG ends as it should; others are taken as whole."""
    return all(data.endswith(end) for start, end in ENDINGS.items() if data.startswith(start))


def with_pillow(name: str, data: bytes, reading: Reading) -> Pixels:
    """The bytes of a file, decoded by Pillow. Raises ValueError with Pillow's reason where that fails too."""
    if reading.max_pixels > DEFAULT.max_pixels:
        allow_pixels(reading.max_pixels)
    try:
        return from_pillow(open_image(io.BytesIO(data)), reading)
    except MemoryError:
        raise
    except Exception as error:
        unknown = 'it is empty' if not data else 'it is of no known format'
        if data[4:8] == b'ftyp' and data[8:12] in BRANDS:
            unknown = 'neither OpenCV nor Pillow decode AVIF or HEIC here; convert it to JPEG or PNG'
        reason = unknown if isinstance(error, UnidentifiedImageError) else ' '.join(str(error).split())
        raise ValueError(f'{name} is no image that can be read ({reason}); check or remove it') from None
