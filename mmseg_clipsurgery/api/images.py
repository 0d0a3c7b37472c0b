"""Any image a user may hand over -> pixels "H W 3" RGB, or a refusal that names it.

    path         decoded as MMSeg's `LoadImageFromFile` does (OpenCV, turned upright by EXIF); what OpenCV does not
                 know is tried with Pillow; a file that ends too early is refused, not read as half a photo
    PIL image    turned upright by EXIF, so that a path and the image opened from it are the same
    array        "H W 3" RGB, "H W 4", "H W 1" or "H W"; uint8, uint16, or floating point in [0, 1]
    tensor       "3 H W", "4 H W", "1 H W" or "H W"; the same types and ranges

16 bits keep their high byte, grey is repeated, alpha is dropped: as OpenCV does when MMSeg loads such a file. Floats
stay floats (times 255), everything else becomes uint8. A list or tuple of images, or a "b H W 3" array or "b 3 H W"
tensor, is a batch.
"""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from .opencv import decode

Pixels: TypeAlias = np.ndarray
ImageLike: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray | torch.Tensor
Images: TypeAlias = ImageLike | Sequence[ImageLike]
ENDINGS = {b'\xff\xd8\xff': b'\xff\xd9', b'\x89PNG': b'IEND\xaeB`\x82'}  # how a file starts: how it ends
SUFFIXES = frozenset(
    ['.avif', '.bmp', '.dib', '.gif', '.heic', '.heif', '.j2k', '.jfif', '.jp2', '.jpe', '.jpeg', '.jpg']
)
SUFFIXES |= frozenset(['.pbm', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff', '.webp'])
STARTS = (b'\xff\xd8\xff', b'\x89PNG\r\n', b'GIF8', b'BM', b'II*\0', b'MM\0*', b'\0\0\0\x0cjP  ')
BRANDS = (b'avif', b'avis', b'heic', b'heix', b'mif1', b'heif', b'hevc')  # of AVIF and HEIC, from byte 8 on
TOLERANCE = 1e-4  # of floats beyond [0, 1]: rounding of a resize


def read_images(images: Images) -> tuple[list[Pixels], bool]:
    """One image or a batch -> (pixels of each, whether it was a batch).

    Raises:
        ValueError: an empty batch, or see `read_image`.
    """
    if isinstance(images, np.ndarray | torch.Tensor) and images.ndim == 4:
        images = list(images)
    if not isinstance(images, list | tuple):
        return [read_image(images)], False
    if not images:
        raise ValueError('got an empty list of images; give at least one')
    return [read_image(image) for image in images], True


def read_image(image: ImageLike) -> Pixels:
    """One image -> "H W 3" RGB: uint8, or float32 in [0, 255] where floats were given.

    Raises:
        ValueError: it is no image, is empty, or has another shape, type or range than the module's head says.
        FileNotFoundError: there is no such file.
    """
    if isinstance(image, str | os.PathLike):
        return read_file(Path(image))
    if isinstance(image, Image.Image):
        return from_pillow(image)
    if isinstance(image, torch.Tensor):
        return from_tensor(image)
    if isinstance(image, np.ndarray):
        return from_array(image)
    raise ValueError(
        f'got an image of type {type(image).__name__}; give a path, a PIL image, an array "H W 3" or a tensor "3 H W"'
    )


def read_file(path: Path) -> Pixels:
    """A file -> "H W 3" uint8 RGB. Raises FileNotFoundError, or ValueError for a file that is no whole image."""
    return decode_image(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a photo's file. Raises FileNotFoundError, or ValueError for a folder."""
    path = path.expanduser()
    if path.is_dir():
        raise ValueError(f'{path} is a folder; give its files, or use the command line, which takes folders')
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; check the path')
    return path.read_bytes()


def decode_image(data: bytes, name: str) -> Pixels:
    """The bytes of an image file -> "H W 3" uint8 RGB; ValueError, with this name, where they are no whole one."""
    pixels = decode(data) if ends_whole(data) else None
    return with_pillow(name, data) if pixels is None else pixels


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


def with_pillow(name: str, data: bytes) -> Pixels:
    """The bytes of a file, decoded by Pillow. Raises ValueError with Pillow's reason where that fails too."""
    try:
        return from_pillow(Image.open(io.BytesIO(data)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        unknown = 'it is empty' if not data else 'it is of no known format'
        if data[4:8] == b'ftyp' and data[8:12] in BRANDS:
            unknown = 'neither OpenCV nor Pillow decode AVIF or HEIC here; convert it to JPEG or PNG'
        reason = unknown if isinstance(error, UnidentifiedImageError) else ' '.join(str(error).split())
        raise ValueError(f'{name} is no image that can be read ({reason}); check or remove it') from None


def from_pillow(image: Image.Image) -> Pixels:
    """A PIL image -> "H W 3" uint8 RGB. Raises ValueError for 32-bit images, whose range is unknown."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I;16'):
        return from_array(np.asarray(image).astype(np.uint16))
    if image.mode in ('I', 'F'):
        raise ValueError(
            f'got a PIL image of mode {image.mode!r} (32 bits), whose range is unknown; convert it to 8 bits first'
        )
    return from_array(np.asarray(image.convert('RGB')))


def from_tensor(image: torch.Tensor) -> Pixels:
    """A tensor "3 H W" (or "1 H W", "4 H W", "H W") -> "H W 3"."""
    if image.ndim == 3 and image.shape[0] in (1, 3, 4):
        return from_array(image.detach().movedim(0, 2).cpu())
    if image.ndim == 2:
        return from_array(image.detach().cpu())
    raise ValueError(
        f'a tensor must be "3 H W", got the shape {tuple(image.shape)}; move its channels to the front'
    )


def from_array(image: Any) -> Pixels:
    """An array "H W 3" (or "H W 4", "H W 1", "H W") -> "H W 3"."""
    image = image.float().numpy() if getattr(image, 'dtype', None) is torch.bfloat16 else np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(
            f'an array must be "H W 3", got the shape {image.shape}; move its channels to the end'
        )
    if 0 in image.shape:
        raise ValueError(f'got an image without pixels, of the shape {image.shape}')
    image = in_grey_levels(image)[..., :3]
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def in_grey_levels(image: np.ndarray) -> np.ndarray:
    """Values as uint8, or as float32 in [0, 255]."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f'got pixels of type {image.dtype}; give uint8, uint16, or floating point in [0, 1]')
    low, high = float(image.min()), float(image.max())
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):  # also NaN
        raise ValueError(
            f'got floating-point pixels from {low:.4g} to {high:.4g}; they must be in [0, 1] and not normalised '
            '(the model does that), or give uint8'
        )
    return image.astype(np.float32).clip(0, 1) * 255


def to_uint8(pixels: Pixels) -> Pixels:
    """For pictures: "H W 3" uint8."""
    return pixels if pixels.dtype == np.uint8 else pixels.round().astype(np.uint8)
