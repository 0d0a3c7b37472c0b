"""Words beside the photo: which of a list it holds, and which of a sentence carry the match."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ...environment.numbers import check_count
from ...visualization.figures import WIDE, beside_or_below, gallery, stack, title_size
from ...visualization.legends import bars, text_strip
from ...visualization.panels import OPACITY, check_opacity, heat_overlay, panel, panel_size
from .base import Panels, Result, maps_at, rounded

MOST_BARS = 12
PRESENCE_NOTE = 'is it there? each word against the empty string; from 0.5 on the photo is nearer to the word'
SCORES_NOTE = 'which fits best? softmax over the words'
WHAT_BARS_SHOW = {
    'leave_out': 'bars: what the match loses without the word',
    'tokens': "bars: match of the word's own tokens",
}


@dataclass(frozen=True, eq=False, repr=False)
class Recognition(Result):
    """Which words a photo holds.

    Attributes:
        words: class names.
        presence: "k" in [0, 1], each word against the empty string, whatever the others (`recognition.word_presence`):
            which words the photo holds.
        scores: "k" in [0, 1]; over several words a softmax, each class with the score of its best word: which of them
            fits best. One word alone has its presence.
    """

    words: tuple[str, ...]
    presence: np.ndarray
    scores: np.ndarray

    def present(self, count: int = MOST_BARS) -> dict[str, float]:
        """The words that are likeliest to be there, and their presence, the likeliest first."""
        return first_of(self.words, self.presence, count)

    def best(self, count: int = MOST_BARS) -> dict[str, float]:
        """The words that fit best and their scores, the best first."""
        return first_of(self.words, self.scores, count)

    def panels(self, opacity: float) -> Panels:
        return [('image', panel(self.pixels))]

    def draw(self, opacity: float = OPACITY) -> Image.Image:
        """The photo beside bars: which words are there, and below which of several fits best."""
        photo = panel(self.pixels)
        width = chart_width(photo)
        charts = [self.chart(PRESENCE_NOTE, self.present(), width)]
        if len(self.words) > 1:
            charts.append(self.chart(SCORES_NOTE, self.best(5), width))
        return beside_or_below(gallery([('', photo)]), stack(charts))

    def chart(self, note: str, values: Mapping[str, float], width: int) -> Image.Image:
        """A bar for each word below what the bars answer."""
        size = title_size(width)
        if len(values) < len(self.words):
            note += f'; the first {len(values)} of {len(self.words)}'
        return stack(
            [text_strip([note], width, size - 2), bars(list(values), list(values.values()), width, size)]
        )

    def record(self) -> dict[str, Any]:
        found = {'presence': self.present(len(self.words)), 'scores': self.best(len(self.words))}
        short = {
            name: {word: float(f'{value:.6g}') for word, value in values.items()}
            for name, values in found.items()
        }
        return {**super().record(), **short}


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
        """The sentence, as wide as a picture."""
        return text_strip([f'“{self.sentence}”'], width, title_size(min(width, 960)))

    def chart(self, width: int) -> Image.Image:
        """A bar for each word: what it does for the match."""
        size = title_size(width)
        note = text_strip([WHAT_BARS_SHOW[self.method], f'match (cosine): {self.match:.4f}'], width, size - 2)
        return stack([bars(self.words, self.relevance.tolist(), width, size, '{:+.4f}'), note])

    def record(self) -> dict[str, Any]:
        relevance = [
            [word, round(value, 6)] for word, value in zip(self.words, self.relevance.tolist(), strict=True)
        ]
        own = {'sentence': self.sentence, 'match': round(self.match, 6), 'method': self.method}
        return {**super().record(), **own, 'relevance': relevance, 'similarity': rounded(self.similarity)}


def first_of(words: Sequence[str], values: np.ndarray, count: int) -> dict[str, float]:
    """The words of the largest values "k", the largest first. Raises ValueError for a count that is none."""
    check_count('count', count)
    order = np.argsort(-values, kind='stable')[:count]
    return {words[k]: float(values[k]) for k in order}


def chart_width(photo: Image.Image) -> int:
    """Pixels for the bars beside a photo, or below a wide one."""
    return photo.width if photo.width > WIDE * photo.height else max(420, min(photo.width, 700))
