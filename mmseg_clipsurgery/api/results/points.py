"""Points for a promptable segmentor, and the mask it draws from them; `explain.points` says how they are found.

The JSON of points has SAM's own names, so that any SAM predictor takes it:

    {"text": "cat", "point_coords": [[x, y], ...], "point_labels": [1, ..., 0, ...], "height": H, "width": W}

point_coords in pixels of the photo, x before y; 1 is a positive point, 0 a negative one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...environment.files import atomic_write
from ...visualization.panels import heat_overlay, mark_points, panel, panel_size
from .base import Panels, Result, check_ending, maps_at

MASK_COLOUR = '#1e90ff'


@dataclass(frozen=True, eq=False, repr=False)
class Points(Result):
    """Points for one text, or for several that make up one target.

    Attributes:
        text: as given ("person+bench").
        xy: "p 2" int64 pixels, x before y; none where the map has no contrast.
        labels: "p" uint8, 1 positive, 0 negative.
        similarity: "h w" on the patch grid; over several texts, the mean of their min-max maps.
    """

    text: str
    xy: np.ndarray
    labels: np.ndarray
    similarity: np.ndarray

    def panels(self, opacity: float) -> Panels:
        heat = maps_at(self.similarity[None], panel_size(self.pixels))[0]
        positive = int(self.labels.sum())
        title = f'{self.text}: {positive} positive, {len(self.labels) - positive} negative points'
        return [(title, self.marked(heat_overlay(self.pixels, heat, opacity)))]

    def marked(self, shown: Image.Image) -> Image.Image:
        """The points on a picture of the photo at any size."""
        scale = np.array(shown.size) / np.array(self.pixels.shape[1::-1])
        return mark_points(shown, (self.xy + 0.5) * scale, self.labels)

    def record(self) -> dict[str, Any]:
        coordinates = {'point_coords': self.xy.tolist(), 'point_labels': self.labels.tolist()}
        return {**super().record(), 'text': self.text, **coordinates}


@dataclass(frozen=True, eq=False, repr=False)
class PromptedMask(Result):
    """The mask that a promptable segmentor drew from points.

    Attributes:
        points: what the segmentor was given.
        mask: "H W" bool.
        score: the segmentor's own estimate of the mask's IoU.
    """

    points: Points
    mask: np.ndarray
    score: float

    def panels(self, opacity: float) -> Panels:
        shown = panel(self.pixels)
        mask = Image.fromarray(self.mask).resize(shown.size, Image.Resampling.NEAREST)
        tinted = Image.blend(shown, Image.new('RGB', shown.size, MASK_COLOUR), opacity)
        covered = self.points.marked(Image.composite(tinted, shown, mask))
        title = f'{self.points.text}: mask (its own score {self.score:.2f})'
        return [*self.points.panels(opacity), (title, covered)]

    def record(self) -> dict[str, Any]:
        own = {'mask_score': round(self.score, 6), 'mask_share': round(float(self.mask.mean()), 6)}
        return {**self.points.record(), **own}

    def arrays(self) -> dict[str, np.ndarray]:
        return {**self.points.arrays(), 'mask': self.mask, 'score': np.asarray(self.score)}

    def save_mask(self, path: str | Path) -> None:
        """Write the mask as a PNG of 0 and 255. Raises ValueError for another ending than .png."""
        check_ending(path, 'save_mask', ('.png',))
        image = Image.fromarray(self.mask.astype(np.uint8) * 255)
        atomic_write(path, lambda temporary: image.save(temporary, format='PNG'))
