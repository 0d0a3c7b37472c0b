"""Panels: one photo at the size it is shown, plain, under a heat map, or marked.

The long side has at most 960 pixels, and the short side 256 where the photo is smaller. Pixels are RGB; sizes of PIL
images are (width, height), all others (height, width).
"""

from functools import lru_cache

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from ..environment.numbers import check_number
from .palette import NEGATIVE, POSITIVE

Size = tuple[int, int]

LONGEST, SHORTEST = 960, 256  # sides of a panel in pixels, the longest first
OPACITY = 0.6  # of colours over a photo
COLOURS = (0.06, 0.96)  # of turbo, whose ends are nearly black
OVERSAMPLING = 4  # marks are drawn larger and shrunk, for smooth edges


def panel_size(pixels: np.ndarray) -> Size:
    """The size (height, width) in pixels at which a photo "H W ..." is shown."""
    height, width = pixels.shape[:2]
    scale = min(LONGEST / max(height, width), max(1.0, SHORTEST / min(height, width)))
    return max(1, round(height * scale)), max(1, round(width * scale))


def panel(pixels: np.ndarray) -> Image.Image:
    """A photo "H W 3" uint8 at its panel's size."""
    height, width = panel_size(pixels)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)


def heat_overlay(pixels: np.ndarray, heat: np.ndarray, opacity: float = OPACITY) -> Image.Image:
    """A photo's panel under a heat map.

    Args:
        pixels: the photo, "H W 3" uint8.
        heat: "h w" in [0, 1], h and w those of `panel_size(pixels)`.
        opacity: of the colours, in [0, 1].
    """
    colours = heat_colours()[(heat.clip(0, 1) * 255).round().astype(np.uint8)]
    return Image.blend(panel(pixels), Image.fromarray(colours), check_opacity(opacity))


def check_opacity(opacity: float) -> float:
    """The opacity, if it lies in [0, 1]; raises ValueError if not."""
    check_number('opacity', opacity, 0, 1)
    return opacity


@lru_cache
def heat_colours() -> np.ndarray:
    """Colours of 0 to 1 in 256 steps, "256 3" uint8."""
    return (matplotlib.colormaps['turbo'](np.linspace(*COLOURS, 256))[:, :3] * 255).round().astype(np.uint8)


def mark_points(image: Image.Image, xy: np.ndarray, labels: np.ndarray) -> Image.Image:
    """Positive points as green discs with a plus, negative ones as red discs with a minus.

    Args:
        image: at the size it is shown.
        xy: "p 2" in pixels of that image.
        labels: "p", 1 positive, 0 negative.
    """
    radius = max(3.0, min(12.0, min(image.size) / 45)) * OVERSAMPLING
    layer = Image.new('RGBA', (image.width * OVERSAMPLING, image.height * OVERSAMPLING))
    draw = ImageDraw.Draw(layer)
    negative_first = sorted(zip(xy * OVERSAMPLING, labels, strict=True), key=lambda pair: pair[1])
    for (x, y), label in negative_first:
        disc = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(
            disc, fill=POSITIVE if label else NEGATIVE, outline='white', width=max(2, round(radius / 5))
        )
        arm, thick = radius * 0.5, max(2, round(radius / 4))
        draw.line((x - arm, y, x + arm, y), fill='white', width=thick)
        if label:
            draw.line((x, y - arm, x, y + arm), fill='white', width=thick)
    marks = layer.resize(image.size, Image.Resampling.LANCZOS)
    return Image.alpha_composite(image.convert('RGBA'), marks).convert('RGB')


def mark_cell(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Draw a box in white on black.

    Args:
        image: at the size it is shown.
        box: (left, top, right, bottom) in pixels of that image.
    """
    marked = image.copy()
    draw = ImageDraw.Draw(marked)
    left, top, right, bottom = box
    for width, colour in ((5, 'black'), (2, 'white')):
        grown = (width - 2) // 2
        draw.rectangle(
            (left - grown, top - grown, right + grown, bottom + grown), outline=colour, width=width
        )
    return marked
