"""What stands below or beside the panels of a figure: keys of colours, bars with numbers, lines of text.

Widths and sizes of letters are in pixels.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .figures import MARGIN
from .fonts import draw_text, line_height, text_width, wrap
from .palette import NEGATIVE, POSITIVE
from .panels import heat_colours

Colour = Sequence[int]


def heat_key(
    width: int, size: int, low: str = 'lowest', high: str = 'highest', note: str = ''
) -> Image.Image:
    """A strip of the colours of heat, what its ends mean, and a note where there is room.

    Args:
        width: of the key.
        size: of letters.
        low, high: what the cold and the hot end mean.
        note: left out where the key is too narrow for it.
    """
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


def colour_key(entries: Sequence[tuple[str, Colour]], width: int, size: int) -> Image.Image:
    """Coloured boxes with names, as many a line as fit; a name wider than the key is cut.

    Args:
        entries: (name, RGB) pairs, in order; all of them are drawn.
        width: of the key.
        size: of letters.
    """
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
            (left, top + 3, left + line - 8, top + line - 5), fill=tuple(map(int, colour)), outline='black'
        )
        draw_text(draw, (left + line, top), name, size)
    return canvas


def bars(
    names: Sequence[str], values: Sequence[float], width: int, size: int, form: str = '{:.2f}'
) -> Image.Image:
    """Horizontal bars from a common zero line, one for each name: green to the right, red to the left.

    Args:
        names, values: in this order from the top; the longest bar takes all the width there is.
        width: of the chart.
        size: of letters.
        form: format of the numbers beside the bars.
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


def text_strip(lines: Sequence[str], width: int, size: int, most_lines: int = 4) -> Image.Image:
    """Lines of text on white.

    Args:
        lines: texts, each wrapped into at most `most_lines` lines.
        width: of the strip.
        size: of letters.
        most_lines: a text that takes more is cut.
    """
    wrapped = [part for line in lines for part in wrap(line, size, width - 2 * MARGIN, most_lines)]
    strip = Image.new('RGB', (width, MARGIN + len(wrapped) * line_height(size)), 'white')
    for number, line in enumerate(wrapped):
        draw_text(ImageDraw.Draw(strip), (MARGIN, MARGIN + number * line_height(size)), line, size)
    return strip
