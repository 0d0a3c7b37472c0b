"""How images are read: the depth of 16-bit pixels, and the number of pixels that is still taken.

Cameras and microscopes store 10 to 14 bits in 16, whose high byte is nearly black. So 16 bits are taken for the first
depth of 8, 10, 11, 12, 14 and 16 that holds an image's largest value, and the upper 8 bits of that depth are kept; a
log line says so. `Reading.bit_depth` states the depth instead, as a set of images from one source should.
"""

import logging
from dataclasses import dataclass
from functools import cache

import numpy as np

DEPTHS = (8, 10, 11, 12, 14, 16)  # bits
MAX_PIXELS = 178_956_970  # where Pillow calls a file a decompression bomb
logger = logging.getLogger('mmseg_clipsurgery')


@dataclass(frozen=True)
class Reading:
    """How images are read.

    Args:
        bit_depth: of pixels that are stored in 16 bits, from 8 to 16; None: the rule above, for each image.
        max_pixels: images of more pixels are refused, files before they are decoded.

    Raises:
        ValueError: a setting out of range.
    """

    bit_depth: int | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.bit_depth is not None and self.bit_depth not in range(8, 17):
            raise ValueError(f'bit_depth must be from 8 to 16, or None, got {self.bit_depth!r}')
        if isinstance(self.max_pixels, bool) or not isinstance(self.max_pixels, int) or self.max_pixels < 1:
            raise ValueError(f'max_pixels must be a whole number from 1 on, got {self.max_pixels!r}')

    def check_pixels(self, count: int, name: str) -> None:
        """Raises ValueError for an image of too many pixels; `name` is what it is called."""
        if count > self.max_pixels:
            raise ValueError(
                f'{name} has {count:,} pixels, more than the limit of {self.max_pixels:,}; shrink it, or raise the '
                'limit (max_pixels, on the command line --max-pixels)'
            )

    def depth_of(self, pixels: np.ndarray) -> int:
        """Bits that uint16 pixels use.

        Raises:
            ValueError: a value exceeds the depth that is stated.
        """
        largest = int(pixels.max(initial=0))
        if self.bit_depth is None:
            depth = next(depth for depth in DEPTHS if largest < 1 << depth)
            if depth < 16:
                say_depth(depth)
            return depth
        if largest >= 1 << self.bit_depth:
            raise ValueError(
                f'got 16-bit pixels up to {largest}, which {self.bit_depth} bits do not hold; give another bit_depth '
                '(--bit-depth)'
            )
        return self.bit_depth


@cache
def say_depth(depth: int) -> None:
    """Log, once for each depth, that 16 bits are taken for fewer."""
    logger.warning(
        '16-bit pixels below %d are read as %d bits; if they are not, state bit_depth (--bit-depth)',
        1 << depth,
        depth,
    )


DEFAULT = Reading()
