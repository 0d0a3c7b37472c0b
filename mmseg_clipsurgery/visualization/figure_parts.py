"""What stands beside and on the panels of a figure: colour keys, bars with numbers, marked points.

Pixels and sizes as in `figures`.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from .figures import MARGIN, NEGATIVE, POSITIVE, heat_colours
from .fonts import draw_text, line_height, text_width, wrap
from .palette import voc_palette

OVERSAMPLING = 4  # marks are drawn larger and shrunk, for smooth edges
Colour = Sequence[int]


def heat_key(
    width: int, size: int, low: str = 'lowest', high: str = 'highest', note: str = ''
) -> Image.Image:
    """A strip from cold to hot with what its ends mean, and a note where there is room."""
    height = line_height(size)
    canvas = Image.new('RGB', (width, height + 2 * MARGIN), 'white')
    draw = ImageDraw.Draw(canvas)
    left = MARGIN + round(text_width(low, size)) + MARGIN
    bar = max(60, min(260, width // 3))
    strip = Image.fromarray(np.broadcast_to(heat_colours(), (height - 6, 256, 3)).copy())
    draw_text(draw, (MARGIN, MARGIN), low, size)
    canvas.paste(strip.resize((bar, height - 6)), (left, MARGIN + 3))
    draw_text(draw, (left + bar + MARGIN, MARGIN), high, size)
    left += bar + 4 * MARGIN + round(text_width(high, size))
    if note and left + text_width(note, size) <= width:
        draw_text(draw, (left, MARGIN), note, size, fill='#555555')
    return canvas


def label_colours(count: int) -> list[list[int]]:
    """RGB of so many labels: twenty that are easy to tell apart, then VOC's."""
    twenty = matplotlib.colormaps['tab20'](range(20))[:, :3]
    easy = (
        (255 * np.concatenate([twenty[::2], twenty[1::2]])).round().astype(int).tolist()
    )  # strong ones first
    return [*easy, *voc_palette(count)[len(easy) :]][:count]


def colour_key(entries: Sequence[tuple[str, Colour]], width: int, size: int) -> Image.Image:
    """Coloured boxes with names, as many a line as fit."""
    line = line_height(size)
    places, left, top = [], MARGIN, MARGIN
    names = [wrap(name, size, width - line - 3 * MARGIN, 1)[0] for name, _ in entries]
    for name in names:
        length = round(line + text_width(name, size)) + 2 * MARGIN
        if left > MARGIN and left + length > width:
            left, top = MARGIN, top + line + 4
        places.append((left, top))
        left += length
    canvas = Image.new('RGB', (width, top + line + MARGIN), 'white')
    draw = ImageDraw.Draw(canvas)
    for name, (_, colour), (left, top) in zip(names, entries, places, strict=True):
        draw.rectangle(
            (left, top + 2, left + line - 6, top + line - 4), fill=tuple(map(int, colour)), outline='black'
        )
        draw_text(draw, (left + line, top), name, size)
    return canvas


def bars(
    names: Sequence[str], values: Sequence[float], width: int, size: int, form: str = '{:.2f}'
) -> Image.Image:
    """Horizontal bars from a common zero line, one for each name: green to the right, red to the left.

    Args:
        names, values: in this order from the top; the longest bar fills the room there is.
        width: of the whole, in pixels.
        size: height of letters.
        form: of the numbers beside the bars.
    """
    line = line_height(size) + 4
    numbers = [form.format(value) for value in values]
    label = min(0.35 * width, max(text_width(name, size) for name in names) + MARGIN)
    number = max(text_width(text, size) for text in numbers) + MARGIN
    low, high = (max([0.0, *(sign * value for value in values)]) for sign in (-1, 1))
    left = MARGIN + label + (number if low else 0)
    unit = (width - MARGIN - left - (number if high or not low else 0)) / ((low + high) or 1.0)
    zero = left + low * unit
    canvas = Image.new('RGB', (width, line * len(names) + 2 * MARGIN), 'white')
    draw = ImageDraw.Draw(canvas)
    for row, (name, value, text) in enumerate(zip(names, values, numbers, strict=True)):
        top, end = MARGIN + row * line, zero + unit * value
        draw_text(draw, (MARGIN, top), wrap(name, size, label - MARGIN, 1)[0], size)
        draw.rectangle(
            (min(zero, end), top + 2, max(zero, end), top + line - 4),
            fill=POSITIVE if value >= 0 else NEGATIVE,
        )
        at = end + 4 if value >= 0 else end - 4 - text_width(text, size)
        draw_text(draw, (at, top), text, size, fill='#333333')
    draw.line((zero, MARGIN, zero, MARGIN + row * line + line - 2), fill='black')
    return canvas


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
    for (x, y), label in sorted(zip(xy * OVERSAMPLING, labels, strict=True), key=lambda pair: pair[1]):
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
    """A box (left, top, right, bottom) in pixels of the image, in white on black."""
    marked = image.copy()
    draw = ImageDraw.Draw(marked)
    left, top, right, bottom = box
    for width, colour in ((5, 'black'), (2, 'white')):
        grown = (width - 2) // 2
        draw.rectangle(
            (left - grown, top - grown, right + grown, bottom + grown), outline=colour, width=width
        )
    return marked


def text_strip(lines: Sequence[str], width: int, size: int, most_lines: int = 4) -> Image.Image:
    """Lines of text on white, each wrapped into at most `most_lines`."""
    wrapped = [part for line in lines for part in wrap(line, size, width - 2 * MARGIN, most_lines)]
    strip = Image.new('RGB', (width, MARGIN + len(wrapped) * line_height(size)), 'white')
    for number, line in enumerate(wrapped):
        draw_text(ImageDraw.Draw(strip), (MARGIN, MARGIN + number * line_height(size)), line, size)
    return strip
