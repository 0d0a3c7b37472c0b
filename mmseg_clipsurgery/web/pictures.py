"""Answers as pictures, and a line that says what they hold.

A page shows pictures smaller than a printed figure, so the photo is shrunk first: `PANEL` pixels, and `SMALL` ones
where there are many panels.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
from PIL import Image

from ..api.results import (
    HeatMaps,
    PatchAttention,
    Points,
    PromptedMask,
    Recognition,
    Result,
    Segmentation,
    TextExplanation,
    compare,
)
from ..visualization.panels import panel

PANEL, SMALL, MANY = 720, 360, 4  # long sides of a panel in pixels, and panels from which on they are small
R = TypeVar('R', bound=Result)


def shrunk(result: R, longest: int) -> R:
    """A result whose photo has at most so many pixels on its long side, for drawing."""
    height, width = result.pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return result
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return replace(
        result, pixels=np.asarray(Image.fromarray(result.pixels).resize(size, Image.Resampling.LANCZOS))
    )


def side_by_side(results: Mapping[str, R], opacity: float, panels: int = 1) -> Image.Image:
    """Results of one kind, a column each.

    Args:
        results: by method.
        opacity: of colours over the photo, in [0, 1].
        panels: of each result.
    """
    longest = SMALL if panels * len(results) >= MANY else PANEL
    return compare({name: shrunk(result, longest) for name, result in results.items()}, opacity)


def segmentation(results: Mapping[str, Segmentation], opacity: float) -> tuple[Image.Image, str]:
    """The photo, the labels of each method, and their shares."""
    lines = [
        f'**{name}**: ' + ', '.join(f'{plain(word)} {share:.0%}' for word, share in result.shares().items())
        for name, result in results.items()
    ]
    return side_by_side(results, opacity, 2), '\n\n'.join(lines)


def heat(results: Mapping[str, HeatMaps], opacity: float, most: int) -> tuple[Image.Image, str]:
    """The maps of each method; of many words those of the first."""
    count = len(next(iter(results.values())).words)
    shown = {
        name: replace(result, words=result.words[:most], similarity=result.similarity[:most])
        for name, result in results.items()
    }
    note = f'The first {most} of {count} words are drawn.' if count > most else f'{count} words.'
    return side_by_side(shown, opacity, min(count, most)), note


def recognition(result: Recognition) -> tuple[Image.Image, str]:
    """The photo beside bars, and the words that are there."""
    there = ', '.join(f'{plain(word)} {value:.2f}' for word, value in result.present(8).items())
    return side_by_side({'': result}, 1.0), f'Is it there? {there}'


def explanation(results: Mapping[str, TextExplanation], opacity: float) -> tuple[Image.Image, str]:
    """The regions, the words' bars, and the match."""
    first = next(iter(results.values()))
    return side_by_side(results, opacity), f'Match (cosine): {first.match:.4f}'


def attention(results: Mapping[str, PatchAttention], opacity: float) -> tuple[Image.Image, str]:
    """What the patch looks at, and how much of its attention goes to patches."""
    lines = [
        f'**{name}**: {result.weights.sum():.0%} of it goes to patches' for name, result in results.items()
    ]
    scaled = {name: with_own_pixel(result) for name, result in results.items()}
    return side_by_side(scaled, opacity), '\n\n'.join(lines)


def with_own_pixel(result: PatchAttention) -> PatchAttention:
    """The result with its photo shrunk here, and its pixel on that photo."""
    small = shrunk(result, PANEL)
    scale = small.pixels.shape[1] / result.pixels.shape[1]
    return replace(small, xy=(int(result.xy[0] * scale), int(result.xy[1] * scale)))


def points(result: Points, opacity: float) -> tuple[Image.Image, str]:
    """The points on the photo, under their heat map where a text has one: a picture to click on."""
    positive = int(result.labels.sum())
    told = f'{positive} positive, {len(result.labels) - positive} negative points'
    if result.similarity.size == 1:
        return result.marked(panel(result.pixels)), told
    return result.panels(opacity)[0][1], told


def mask(result: PromptedMask, opacity: float) -> tuple[Image.Image, str]:
    """The photo under its mask, and the mask's share."""
    told = f"mask of {result.mask.mean():.0%} of the photo, SAM's own score {result.score:.2f}"
    return result.panels(opacity)[-1][1], told


def plain(text: str) -> str:
    """A word as Markdown shows it letter by letter."""
    return ''.join(f'\\{letter}' if letter in '\\`*_{}[]<>()#+-.!|&$~^:' else letter for letter in text)
