"""Any image a user may hand over -> pixels "H W 3" RGB, or a refusal that names it.

    path         decoded as MMSeg's `LoadImageFromFile` does (OpenCV, turned upright by EXIF); see `image_files`
    bytes        of such a file; also a file object (`BytesIO`), read from its beginning
    PIL image    turned upright by EXIF, so that a path and the image opened from it are the same
    array        "H W 3" RGB, "H W 4", "H W 1" or "H W"; uint8, uint16, or floating point in [0, 1]
    tensor       "3 H W", "4 H W", "1 H W" or "H W"; the same types and ranges

16 bits keep their high byte (10 to 14 bits stored in them theirs, see `reading`), grey is repeated, alpha is dropped:
as OpenCV does when MMSeg loads such a file. Floats stay floats (times 255), everything else becomes uint8. A list or
tuple of images, or a "b H W 3" array or "b 3 H W" tensor, is a batch.
"""

import os
from collections.abc import Sequence
from typing import BinaryIO, TypeAlias

import numpy as np
import torch
from PIL import Image

from ..environment.paths import local_path
from .image_files import decode_image, read_bytes, read_stream
from .pixels import Pixels, from_array, from_pillow, from_tensor
from .reading import DEFAULT, Reading

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray | torch.Tensor
Images: TypeAlias = ImageLike | Sequence[ImageLike]


def read_images(images: Images, reading: Reading = DEFAULT) -> tuple[list[Pixels], bool]:
    """One image or a batch -> (pixels of each, whether it was a batch).

    Raises:
        ValueError: an empty batch, or see `read_image`.
    """
    if isinstance(images, np.ndarray | torch.Tensor) and images.ndim == 4:
        images = list(images)
    if not isinstance(images, list | tuple):
        return [read_image(images, reading)], False
    if not images:
        raise ValueError('got an empty list of images; give at least one')
    return [read_image(image, reading) for image in images], True


def read_image(image: ImageLike, reading: Reading = DEFAULT) -> Pixels:
    """One image -> "H W 3" RGB: uint8, or float32 in [0, 255] where floats were given.

    Raises:
        ValueError: it is no image, is empty or too large, or not of the shape, type and range said above.
        FileNotFoundError: there is no such file.
    """
    if isinstance(image, str | os.PathLike):
        return decode_image(read_bytes(local_path(image)), str(image), reading)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(bytes(image), 'the given data', reading)
    if isinstance(image, Image.Image):
        return from_pillow(image, reading)
    if isinstance(image, torch.Tensor):
        return from_tensor(image, reading)
    if isinstance(image, np.ndarray):
        return from_array(image, reading)
    if callable(getattr(image, 'read', None)):
        return decode_image(read_stream(image), str(getattr(image, 'name', 'the given file')), reading)
    raise ValueError(
        f'got an image of type {type(image).__name__}; give a path, bytes or a file object, a PIL image, an array '
        '"H W 3" or a tensor "3 H W"'
    )
