"""Text in pictures, in any script: every character in a font that has it.

DejaVu Sans, which matplotlib ships, covers Latin, Greek, Cyrillic, Arabic, Hebrew and more. For other characters
(Chinese, Japanese, Korean, Thai, ...) the system's fonts are searched once; a character that none of them has is drawn
as a box, and a log line says which font to install. A text is split into runs of a single font, and each run is drawn
whole, so that scripts whose letters join are shaped where Pillow was built with raqm.
"""

import logging
import unicodedata
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

import matplotlib
from matplotlib import font_manager, ft2font
from PIL import ImageDraw, ImageFont

DEJAVU = str(Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf'))
logger = logging.getLogger('mmseg_clipsurgery')


def draw_text(
    draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, size: int, fill: str = 'black'
) -> None:
    """Draw a line of text, `line_height(size)` high.

    Args:
        draw: of the image.
        xy: upper left corner of the line, x before y, in pixels.
        text: without line breaks.
        size: of letters, in pixels.
        fill: colour.
    """
    x, y = xy
    baseline = y + _font(DEJAVU, size).getmetrics()[0]
    for path, run in runs(text):
        font = _font(path, size)
        draw.text((x, baseline), run, fill=fill, font=font, anchor='ls')
        x += font.getlength(run)


def text_width(text: str, size: int) -> float:
    """Width of a line of text in pixels; `size` of letters in pixels."""
    return sum(_font(path, size).getlength(run) for path, run in runs(text))


def line_height(size: int) -> int:
    """Height of a line of text in pixels, the space to the next line included."""
    return sum(_font(DEJAVU, size).getmetrics()) + 2


def wrap(text: str, size: int, width: float, lines: int) -> list[str]:
    """Break a text into lines, between words where possible; '…' ends a text that was cut.

    Args:
        text: without line breaks.
        size: of letters, in pixels.
        width: at most so many pixels a line.
        lines: at most so many lines.
    """
    wrapped: list[str] = []
    rest = text
    while rest:
        head = _head(rest, size, width)
        if len(wrapped) + 1 == lines and head != rest:
            while head and text_width(head.rstrip() + '…', size) > width:
                head = head[:-1]
            return [*wrapped, head.rstrip() + '…']
        wrapped.append(head.rstrip())
        rest = rest[len(head) :].lstrip()
    return wrapped or ['']


def _head(text: str, size: int, width: float) -> str:
    """The beginning of the text that fits into `width` pixels, up to a blank if there is one."""
    if text_width(text, size) <= width:
        return text
    length = next((n for n in range(1, len(text)) if text_width(text[: n + 1], size) > width), len(text))
    blank = text.rfind(' ', 0, length + 1)
    return text[:blank] if blank > 0 else text[:length]


def runs(text: str) -> list[tuple[str, str]]:
    """(Font file, part of the text) pairs from left to right; combining marks stay with their letter."""
    paths: list[str] = []
    for character in text:
        stays = paths and (unicodedata.combining(character) or character in ' \u200c\u200d\ufe0f')
        paths.append(paths[-1] if stays else font_of(character))
    pairs = groupby(zip(paths, text, strict=True), key=lambda pair: pair[0])
    return [(path, ''.join(character for _, character in part)) for path, part in pairs]


@lru_cache(maxsize=4096)
def font_of(character: str) -> str:
    """The file of a font that has the character; DejaVu Sans, with a log line, where there is none."""
    if ord(character) in coverage(DEJAVU) or character.isspace():
        return DEJAVU
    for path in system_fonts():
        if ord(character) in coverage(path):
            return path
    _say_missing(unicodedata.name(character, f'U+{ord(character):04X}').split(' ')[0])
    return DEJAVU


@lru_cache
def _say_missing(script: str) -> None:
    """Log, once for each script, that its characters have no font."""
    logger.warning(
        'no font of this system has %s characters, they are drawn as boxes; install one, for instance the package '
        'fonts-noto-cjk (Chinese, Japanese, Korean) or fonts-noto-core (most others)',
        script,
    )


@lru_cache
def system_fonts() -> tuple[str, ...]:
    """Files of the system's fonts, plain sans-serif faces first."""

    def rank(path: str) -> tuple[bool, bool, str]:
        name = Path(path).stem.lower()
        fancy = any(
            word in name for word in ('bold', 'black', 'italic', 'oblique', 'thin', 'light', 'mono', 'cond')
        )
        return fancy, 'sans' not in name and 'hei' not in name, path

    return tuple(sorted(font_manager.findSystemFonts(), key=rank))


@cache
def coverage(path: str) -> frozenset[int]:
    """Code points that a font file has outlines for; none for a file that can't be used."""
    try:
        font = ft2font.FT2Font(path)
        _font(path, 16)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (RuntimeError, OSError, TypeError):
        return frozenset()


@lru_cache(maxsize=256)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)
