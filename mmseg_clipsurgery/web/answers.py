"""What the model says of a photo, kept while photo, words and method stay the same.

One question at a time goes to the model, whoever asks; what is kept is found without waiting. A key holds everything
that decides an answer, so visitors never meet another's.
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..api.model import SurgeryModel
from ..api.reading import Reading
from ..api.results import (
    HeatMaps,
    PatchAttention,
    Points,
    PromptedMask,
    Recognition,
    Segmentation,
    TextExplanation,
)
from ..surgery import SURGERIES
from ..vocabulary import Vocabulary
from .limits import MIB, Limits
from .photos import Photo, read
from .store import Store

if TYPE_CHECKING:
    from ..api.sam import Sam

KEPT_BYTES = 512 * MIB
Clicks = tuple[
    tuple[int, int, int], ...
]  # x, y in pixels of the photo, and 1 for a positive point, 0 for a negative


class Answers:
    """A CLIP under several surgeries that many visitors ask.

    Args:
        models: of one CLIP, by their surgeries' names, as `load` returns them; those chosen at first. The CLIP's other
            surgeries are offered too.
        reading: how uploaded photos are read.
        limits: what one visitor may ask.
        sam: draws masks from points, where there is one.
        kept_bytes: of answers and photos that are kept.
    """

    def __init__(
        self,
        models: Mapping[str, SurgeryModel],
        reading: Reading,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        sam: 'Sam | None' = None,
        kept_bytes: int = KEPT_BYTES,
    ):
        self.limits, self.sam, self.reading = limits, sam, reading
        self._store, self._lock = Store(kept_bytes), threading.Lock()
        self._models = {**models, **offered(next(iter(models.values())))}
        self.chosen = list(models)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the surgeries that the model takes."""
        return tuple(self._models)

    def pixels(self, photo: Photo) -> np.ndarray:
        """Pixels "H W 3" of a photo. Raises ValueError, FileNotFoundError: see `photos.read`."""
        return self._store.get_or(('photo', photo.digest), partial(read, photo, self.reading))

    def segment(self, photo: Photo, words: Vocabulary, methods: Sequence[str]) -> dict[str, Segmentation]:
        """Labels of every pixel, by method."""
        return self._ask(
            'segment', photo, methods, (words,), lambda model, pixels: model.segment(pixels, words)
        )

    def heatmaps(self, photo: Photo, words: Vocabulary, methods: Sequence[str]) -> dict[str, HeatMaps]:
        """Where each word is, by method."""
        return self._ask(
            'heatmaps', photo, methods, (words,), lambda model, pixels: model.heatmaps(pixels, words)
        )

    def recognise(self, photo: Photo, words: Vocabulary) -> Recognition:
        """Which words the photo holds; surgeries leave the class token alone, so every method says the same."""
        first = self.methods[:1]
        found = self._ask(
            'recognise', photo, first, (words,), lambda model, pixels: model.recognise(pixels, words)
        )
        return found[first[0]]

    def explain(self, photo: Photo, sentence: str, methods: Sequence[str]) -> dict[str, TextExplanation]:
        """Which words of a sentence, and which regions, carry the match, by method."""
        self.limits.check_text(sentence)
        return self._ask(
            'explain', photo, methods, (sentence,), lambda model, pixels: model.explain_text(pixels, sentence)
        )

    def attention(
        self, photo: Photo, xy: tuple[int, int], methods: Sequence[str]
    ) -> dict[str, PatchAttention]:
        """What the patch at a pixel (x, y) looks at, by method."""
        return self._ask(
            'attention', photo, methods, (xy,), lambda model, pixels: model.attention(pixels, xy)
        )

    def points(self, photo: Photo, text: str, method: str, clicks: Clicks = ()) -> Points:
        """Points of a text, then the clicked ones; of an empty text these alone."""
        self.limits.check_text(text)
        self.limits.check_points(len(clicks))
        if text.strip():
            asked = self._ask(
                'points', photo, [method], (text,), lambda model, pixels: model.points(pixels, text)
            )
            found = asked[method]
        else:
            none = np.zeros((0, 2), np.int64), np.zeros(0, np.uint8), np.zeros((1, 1), np.float32)
            found = Points(self.pixels(photo), 'clicked', *none)
        clicked = np.array(clicks, dtype=np.int64).reshape(-1, 3)
        return replace(
            found,
            xy=np.concatenate([found.xy, clicked[:, :2]]),
            labels=np.concatenate([found.labels, clicked[:, 2].astype(found.labels.dtype)]),
        )

    def mask(self, points: Points) -> PromptedMask:
        """The mask that SAM draws from points. Raises ValueError where the page has no SAM."""
        if self.sam is None:
            raise ValueError(
                'this page has no SAM; start it with --sam facebook/sam-vit-base, or another of yours'
            )
        with self._lock:
            return self.sam.mask(points)

    def _ask(
        self,
        task: str,
        photo: Photo,
        methods: Sequence[str],
        asked: tuple[Hashable, ...],
        ask: Callable[[SurgeryModel, np.ndarray], Any],
    ) -> dict[str, Any]:
        """The answer of each method, in order. Raises ValueError as `ask`, and for an unknown method."""
        self.limits.check_methods(methods)
        if unknown := [name for name in methods if name not in self._models]:
            raise ValueError(f'got the method {unknown[0]!r}; choose one of {", ".join(self.methods)}')
        pixels = self.pixels(photo)
        found = {}
        for name in methods:
            key = (task, photo.digest, name, *asked)
            found[name] = self._store.get(key)
            if found[name] is None:
                with self._lock:
                    found[name] = self._store.get_or(key, partial(ask, self._models[name], pixels))
        return found


def offered(model: SurgeryModel) -> dict[str, SurgeryModel]:
    """The model under every surgery that it takes, by name: none that needs another tower, or a second one."""
    found = {}
    for name in SURGERIES:
        try:
            found[name] = model.with_surgery(name)
        except ValueError:
            continue
    return found
