"""Heat maps: where words are, and which patches a patch looks at."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...explain import MapScale
from ...visualization.panels import heat_overlay, mark_cell, panel_size
from .base import Panels, Result, maps_at, rounded


@dataclass(frozen=True, eq=False, repr=False)
class HeatMaps(Result):
    """Where each word is.

    Attributes:
        words: class names.
        similarity: "k h w" on the patch grid, comparable between words and images; `maps` makes pictures of it.
        none_present: with `min_presence`: no word is; the maps are of what was kept.
    """

    words: tuple[str, ...]
    similarity: np.ndarray
    none_present: bool = False

    def maps(self, size: tuple[int, int] | None = None, scale: MapScale = 'minmax') -> np.ndarray:
        """Maps of the words for display.

        Args:
            size: (height, width) in pixels; None: the photo's.
            scale: see `explain.similarity_map`.

        Returns:
            "k H W" in [0, 1].
        """
        return maps_at(self.similarity, size or self.pixels.shape[:2], scale)

    def panels(self, opacity: float) -> Panels:
        maps = self.maps(panel_size(self.pixels))
        return [
            (word, heat_overlay(self.pixels, heat, opacity))
            for word, heat in zip(self.words, maps, strict=True)
        ]

    def row_title(self, title: str) -> str:
        return title

    def record(self) -> dict[str, Any]:
        return {**super().record(), 'words': list(self.words), 'similarity': rounded(self.similarity)}


@dataclass(frozen=True, eq=False, repr=False)
class PatchAttention(Result):
    """Which patches a chosen patch looks at.

    Attributes:
        xy: the chosen pixel, x before y.
        weights: "h w" on the patch grid, not negative; what is missing to 1 goes to the class token.
        surgery: its name, for titles.
    """

    xy: tuple[int, int]
    weights: np.ndarray
    surgery: str

    def panels(self, opacity: float) -> Panels:
        height, width = panel_size(self.pixels)
        heat = maps_at(self.weights[None], (height, width))[0]
        rows, columns = self.weights.shape
        row, column = self.xy[1] * rows // self.pixels.shape[0], self.xy[0] * columns // self.pixels.shape[1]
        box = (
            column * width / columns,
            row * height / rows,
            (column + 1) * width / columns,
            (row + 1) * height / rows,
        )
        return [
            (
                f'what the marked patch looks at: {self.surgery}',
                mark_cell(heat_overlay(self.pixels, heat, opacity), box),
            )
        ]

    def record(self) -> dict[str, Any]:
        own = {'xy': list(self.xy), 'surgery': self.surgery, 'weights': rounded(self.weights, 8)}
        return {**super().record(), **own}
