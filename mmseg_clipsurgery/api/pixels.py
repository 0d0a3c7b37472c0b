"""PIL images, arrays and tensors -> pixels "H W 3" RGB: uint8, or float32 in [0, 255] where floats were given."""

from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps

from .reading import Reading

Pixels: TypeAlias = np.ndarray
TOLERANCE = 1e-4  # of floats beyond [0, 1]: rounding of a resize


def from_pillow(image: Image.Image, reading: Reading) -> Pixels:
    """A PIL image -> "H W 3" uint8 RGB. Raises ValueError for one too large, or of 32 bits, whose range is unknown."""
    reading.check_pixels(image.width * image.height, getattr(image, 'filename', '') or 'the PIL image')
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I;16'):
        return from_array(np.asarray(image).astype(np.uint16), reading)
    if image.mode in ('I', 'F'):
        raise ValueError(
            f'got a PIL image of mode {image.mode!r} (32 bits), whose range is unknown; convert it to 8 bits first'
        )
    return from_array(np.asarray(image.convert('RGB')), reading)


def from_tensor(image: torch.Tensor, reading: Reading) -> Pixels:
    """A tensor "3 H W" (or "1 H W", "4 H W", "H W") -> "H W 3"."""
    if image.layout is not torch.strided or image.is_meta or image.is_quantized:
        raise ValueError('got a sparse or quantized tensor, or one without values; give a dense one')
    if image.ndim in (2, 3):  # before it is copied to the CPU, or out of one value
        reading.check_pixels(image.shape[-2] * image.shape[-1], 'the tensor')
    if image.ndim == 3 and image.shape[0] in (1, 3, 4):
        return from_array(image.detach().movedim(0, 2).cpu(), reading)
    if image.ndim == 2:
        return from_array(image.detach().cpu(), reading)
    raise ValueError(
        f'a tensor must be "3 H W", got the shape {tuple(image.shape)}; move its channels to the front'
    )


def from_array(image: Any, reading: Reading) -> Pixels:
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
    reading.check_pixels(image.shape[0] * image.shape[1], 'the array')
    image = in_grey_levels(image, reading)[..., :3]
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def in_grey_levels(image: np.ndarray, reading: Reading) -> np.ndarray:
    """Values as uint8, or as float32 in [0, 255]."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> (reading.depth_of(image) - 8)).astype(np.uint8)
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
