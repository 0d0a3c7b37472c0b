"""Printable figures: panels with titles in a gallery or a table, on white.

Columns are chosen so that a figure has about the shape of a page. Files say 300 dots per inch. Sizes of PIL images are
(width, height).
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..environment.files import atomic_write
from .fonts import draw_text, line_height, text_width, wrap

NARROWEST = 200  # pixels of a column
WIDE = 2.2  # width / height of a panorama
PAGE = 1.5  # width / height of a figure at best
MARGIN = 10  # pixels
TITLE_LINES = 2
DOTS_PER_INCH = 300
PICTURES = ('.png', '.jpg', '.pdf', '.jpeg', '.webp', '.tif', '.tiff', '.bmp', '.gif')


def gallery(panels: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Panels of one size under their titles, in as many columns as make a page.

    Args:
        panels: (title, image) pairs, in order.
    """
    width, height = panels[0][1].size
    width, height = max(width, NARROWEST), height + 40
    count = len(panels)

    def unlike_a_page(columns: int) -> float:
        rows = -(-count // columns)
        empty = rows * columns - count
        return abs(np.log(columns * width / (rows * height) / PAGE)) + 0.2 * empty / columns

    columns = min(range(1, count + 1), key=unlike_a_page)
    rows = [panels[start : start + columns] for start in range(0, count, columns)]
    lines = TITLE_LINES if any(title for title, _ in panels) else 0
    return stack([_row(row, columns, width, title_size(width), lines) for row in rows])


def table(rows: Sequence[tuple[str, Sequence[Image.Image]]], columns: Sequence[str]) -> Image.Image:
    """Rows of panels under common column titles, aligned whatever the size of a row's panels.

    Args:
        rows: (title, panels) pairs; titles stand at the left or, where rows are low, above.
        columns: their titles.
    """
    width = max(NARROWEST, *(image.width for _, images in rows for image in images))
    size = title_size(max(NARROWEST, rows[0][1][0].width))
    named = any(name for name, _ in rows)
    sideways = all(text_width(name, size) < images[0].height for name, images in rows)
    head = [(title, Image.new('RGB', (1, 1), 'white')) for title in columns]
    strips = [_row(head, len(columns), width, size, lines=1)]
    for name, images in rows:
        strip = _row([('', image) for image in images], len(columns), width, size, lines=0)
        strips.append(_with_title(strip, name, size) if named and not sideways else strip)
    if named and sideways:
        names = ['', *(name for name, _ in rows)]
        strips = [_with_side_title(strip, name, size) for strip, name in zip(strips, names, strict=True)]
    return stack(strips)


def stack(parts: Sequence[Image.Image]) -> Image.Image:
    """Images below each other, on white, left edges aligned."""
    canvas = Image.new(
        'RGB', (max(part.width for part in parts), sum(part.height for part in parts)), 'white'
    )
    top = 0
    for part in parts:
        canvas.paste(part, (0, top))
        top += part.height
    return canvas


def beside_or_below(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two images side by side, on white, upper edges aligned; below each other where the first is a wide one."""
    if left.width > WIDE * left.height:
        return stack([left, right])
    canvas = Image.new('RGB', (left.width + right.width, max(left.height, right.height)), 'white')
    canvas.paste(left, (0, 0))
    canvas.paste(right, (left.width, 0))
    return canvas


def title_size(width: int) -> int:
    """Height of letters in pixels for a column of this width in pixels."""
    return int(np.clip(width / 22, 14, 30))


def _row(
    panels: Sequence[tuple[str, Image.Image]], places: int, column: int, size: int, lines: int
) -> Image.Image:
    """Panels side by side, each under its title.

    Args:
        panels: (title, image) pairs.
        places: number of columns, empty ones included.
        column: width of a column in pixels.
        size: height of letters in pixels.
        lines: at most so many of a title; 0 leaves titles out.
    """
    titles = [wrap(title, size, column, lines) if lines else [] for title, _ in panels]
    head = max(map(len, titles)) * line_height(size)
    height = MARGIN + head + max(image.height for _, image in panels)
    canvas = Image.new('RGB', (MARGIN + places * (column + MARGIN), height), 'white')
    draw = ImageDraw.Draw(canvas)
    for place, (title, (_, image)) in enumerate(zip(titles, panels, strict=True)):
        left = MARGIN + place * (column + MARGIN)
        top = MARGIN + head - len(title) * line_height(size)
        for number, line in enumerate(title):
            draw_text(draw, (left, top + number * line_height(size)), line, size)
        canvas.paste(image, (left, MARGIN + head))
    return canvas


def _with_title(strip: Image.Image, title: str, size: int) -> Image.Image:
    """A row's title above it."""
    head = Image.new('RGB', (strip.width, MARGIN + line_height(size)), 'white')
    draw_text(ImageDraw.Draw(head), (MARGIN, MARGIN), wrap(title, size, strip.width - 2 * MARGIN, 1)[0], size)
    return stack([head, strip])


def _with_side_title(strip: Image.Image, title: str, size: int) -> Image.Image:
    """A row's title, written upwards at its left, level with the middle of the panels."""
    side = Image.new('RGB', (strip.height, line_height(size)), 'white')
    middle = MARGIN + (strip.height - MARGIN - text_width(title, size)) / 2
    draw_text(
        ImageDraw.Draw(side), (min(middle, strip.height - text_width(title, size)) - MARGIN, 0), title, size
    )
    canvas = Image.new('RGB', (strip.width + side.height, strip.height), 'white')
    canvas.paste(side.rotate(90, expand=True), (MARGIN // 2, 0))
    canvas.paste(strip, (side.height, 0))
    return canvas


def save_picture(path: str | Path, picture: Image.Image) -> None:
    """Write a figure in the format of the file's ending, whole or not at all.

    Raises:
        ValueError: no format has this ending.
    """
    ending = Path(path).suffix.lower()
    if ending not in PICTURES:
        raise ValueError(f'{path} has no ending of a picture; give one such as {", ".join(PICTURES[:3])}')
    kind = Image.registered_extensions()[ending]
    options = {'resolution': DOTS_PER_INCH} if kind == 'PDF' else {'dpi': (DOTS_PER_INCH, DOTS_PER_INCH)}
    quality: dict[str, Any] = {'quality': 92} if kind in ('JPEG', 'WEBP') else {}
    if kind == 'PNG':  # a fifth of the time of Pillow's default for 3 % more bytes
        quality['compress_type'] = zlib.Z_RLE
    atomic_write(path, lambda temporary: picture.save(temporary, format=kind, **options, **quality))
