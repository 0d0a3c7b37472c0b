"""Words beside the photo: which of a list it holds, and which of a sentence carry the match."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ...visualization.figures import WIDE, beside_or_below, gallery, stack, title_size
from ...visualization.legends import bars, text_strip
from ...visualization.panels import OPACITY, check_opacity, heat_overlay, panel, panel_size
from .base import Panels, Result, maps_at, rounded

MOST_BARS = 12
WHAT_BARS_SHOW = {
    'leave_out': 'bars: what the match loses without the word',
    'tokens': "bars: match of the word's own tokens",
}


@dataclass(frozen=True, eq=False, repr=False)
class Recognition(Result):
    """Which words a photo holds.

    Attributes:
        words: class names.
        scores: "k" in [0, 1]; over several words a softmax, each class with the score of its best word.
    """

    words: tuple[str, ...]
    scores: np.ndarray

    def best(self, count: int = MOST_BARS) -> dict[str, float]:
        """The best words and their scores, the best first."""
        order = np.argsort(-self.scores, kind='stable')[:count]
        return {self.words[k]: float(self.scores[k]) for k in order}

    def panels(self, opacity: float) -> Panels:
        return [('image', panel(self.pixels))]

    def draw(self, opacity: float = OPACITY) -> Image.Image:
        """The photo beside a bar for each of the best words."""
        best, photo = self.best(), panel(self.pixels)
        width = chart_width(photo)
        chart = bars(list(best), list(best.values()), width, title_size(width))
        note = (
            'bars: score against the empty string' if len(self.words) == 1 else 'bars: softmax over the words'
        )
        if len(best) < len(self.words):
            note += f', the best {len(best)} of {len(self.words)}'
        return beside_or_below(
            gallery([('', photo)]), stack([chart, text_strip([note], width, title_size(width) - 2)])
        )

    def record(self) -> dict[str, Any]:
        scores = {word: float(f'{score:.6g}') for word, score in self.best(len(self.words)).items()}
        return {**super().record(), 'scores': scores}


@dataclass(frozen=True, eq=False, repr=False)
class TextExplanation(Result):
    """Which words of a sentence, and which regions of the photo, carry their match.

    Attributes:
        sentence: as given.
        words, relevance: its words, and "w" what each does for the match, a difference of cosines.
        match: cosine of photo and sentence.
        similarity: "h w" on the patch grid, the sentence in its single-text form.
        method: how the relevance was found, see `word_relevance`.
    """

    sentence: str
    words: tuple[str, ...]
    relevance: np.ndarray
    match: float
    similarity: np.ndarray
    method: str

    def panels(self, opacity: float) -> Panels:
        heat = maps_at(self.similarity[None], panel_size(self.pixels))[0]
        return [(self.sentence, heat_overlay(self.pixels, heat, opacity))]

    def draw(self, opacity: float = OPACITY) -> Image.Image:
        """The sentence above, its heat map at the left, a bar for each word at the right."""
        heat = self.panels(check_opacity(opacity))[0][1]
        left = gallery([('', heat)])
        left = stack([left, self.key(left.width, title_size(heat.width))])
        picture = beside_or_below(left, self.chart(chart_width(heat)))
        return stack([self.title(picture.width), picture])

    def draw_beside(self, results: Mapping[str, Any], opacity: float) -> Image.Image:
        """The words' bars below: they depend on the class token alone, which surgeries leave alone."""
        maps = super().draw_beside(results, opacity)
        return stack([self.title(maps.width), maps, self.chart(min(maps.width, 700))])

    def title(self, width: int) -> Image.Image:
        return text_strip([f'“{self.sentence}”'], width, title_size(min(width, 960)))

    def chart(self, width: int) -> Image.Image:
        size = title_size(width)
        note = text_strip([WHAT_BARS_SHOW[self.method], f'match (cosine): {self.match:.4f}'], width, size - 2)
        return stack([bars(self.words, self.relevance.tolist(), width, size, '{:+.4f}'), note])

    def record(self) -> dict[str, Any]:
        relevance = [
            [word, round(value, 6)] for word, value in zip(self.words, self.relevance.tolist(), strict=True)
        ]
        own = {'sentence': self.sentence, 'match': round(self.match, 6), 'method': self.method}
        return {**super().record(), **own, 'relevance': relevance, 'similarity': rounded(self.similarity)}


def chart_width(photo: Image.Image) -> int:
    """Pixels for the bars beside a photo, or below a wide one."""
    return photo.width if photo.width > WIDE * photo.height else max(420, min(photo.width, 700))
