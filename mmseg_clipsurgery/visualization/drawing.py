"""Pictures of label maps: panels side by side, each with a title, and a legend of the classes that occur.

Colours are RGB in [0, 255]; labels outside the palette (the ignored one) leave the image as it is.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .fonts import draw_text, line_height, text_width, wrap

Colours = Sequence[Sequence[int]]

MARGIN = 6
SMALLEST_PANEL = 192  # short side in pixels; smaller images are enlarged by a whole factor


def overlay(image: np.ndarray, labels: np.ndarray, colours: Colours, opacity: float = 0.6) -> np.ndarray:
    """Colour an image by its labels.

    Args:
        image: "h w 3" uint8.
        labels: "h w", indices into `colours`; others leave the pixel as it is.
        opacity: of the colour, in [0, 1].
    """
    table = np.asarray(colours, dtype=np.float32)
    known = (labels >= 0) & (labels < len(table))
    mixed = image.astype(np.float32)
    mixed[known] = (1 - opacity) * mixed[known] + opacity * table[labels[known]]
    return mixed.round().astype(np.uint8)


def classes_by_area(labels: Sequence[np.ndarray], classes: int) -> list[int]:
    """Indices below `classes` that occur in any of the label maps "h w", the largest area first."""
    area = np.zeros(classes, dtype=np.int64)
    for one in labels:
        area += np.bincount(one[(one >= 0) & (one < classes)].ravel(), minlength=classes)
    return [int(index) for index in np.argsort(-area, kind='stable') if area[index] > 0]


def picture(
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    legend: Sequence[tuple[str, Sequence[int]]],
) -> Image.Image:
    """Rows of panels under common titles, and a legend below.

    Args:
        rows: panels "h w 3" uint8; the panels of a row have one size, rows may differ.
        titles: one for each column.
        legend: (class name, colour) of what is to be explained, in this order.
    """
    images = [[_enlarge(panel) for panel in row] for row in rows]
    widths = [max(row[column].width for row in images) for column in range(len(titles))]
    width = sum(widths) + MARGIN * (len(widths) + 1)
    text_size = max(13, min(28, widths[0] // 22))
    strip = _legend(legend, width, text_size)
    line = line_height(text_size)
    height = MARGIN + line + sum(row[0].height + MARGIN for row in images) + strip.height
    canvas = Image.new('RGB', (width, height), 'white')
    draw = ImageDraw.Draw(canvas)
    lefts = [MARGIN + sum(widths[:column]) + MARGIN * column for column in range(len(widths))]
    for left, title in zip(lefts, titles, strict=True):
        draw_text(draw, (left, MARGIN // 2), title, text_size)
    top = MARGIN + line
    for row in images:
        for left, panel in zip(lefts, row, strict=True):
            canvas.paste(panel, (left, top))
        top += row[0].height + MARGIN
    canvas.paste(strip, (0, top))
    return canvas


def _enlarge(panel: np.ndarray) -> Image.Image:
    image = Image.fromarray(panel)
    factor = max(1, -(-SMALLEST_PANEL // min(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _legend(entries: Sequence[tuple[str, Sequence[int]]], width: int, text_size: int) -> Image.Image:
    """Coloured boxes and names, as many a line as fit into `width`."""
    line = line_height(text_size)
    entries = [(wrap(name, text_size, width - line - 2 * MARGIN, 1)[0], colour) for name, colour in entries]
    places, left, top = [], MARGIN, 0
    for name, _ in entries:
        length = round(line + text_width(name, text_size) + 2 * MARGIN)
        if left > MARGIN and left + length > width:
            left, top = MARGIN, top + line
        places.append((left, top))
        left += length
    strip = Image.new('RGB', (width, top + line + MARGIN if entries else MARGIN), 'white')
    draw = ImageDraw.Draw(strip)
    for (name, colour), (left, top) in zip(entries, places, strict=True):
        box = (left, top + 2, left + line - 4, top + line - 2)
        draw.rectangle(box, fill=tuple(int(value) for value in colour), outline='black')
        draw_text(draw, (left + line, top), name, text_size)
    return strip
