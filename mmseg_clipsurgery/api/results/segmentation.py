"""A label for every pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...inference.label_files import write_labels
from ...visualization.drawing import classes_by_area, overlay
from ...visualization.figure_parts import colour_key, label_colours
from ...visualization.figures import panel, panel_size, stack, table, title_size
from .base import Panels, Result


@dataclass(frozen=True, eq=False)
class Segmentation(Result):
    """Labels of a photo.

    Attributes:
        labels: "H W" int64, indices into `classes`.
        classes: names; one word alone has the labels ('background', word).
        scores: class scores "k H W" before thresholds, where asked for; for one word "1 H W", its similarity.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    scores: np.ndarray | None = None

    def colours(self) -> list[list[int]]:
        """RGB of each class; the background is black."""
        background = self.classes[0].lower() == 'background'
        return [*([[0, 0, 0]] if background else []), *label_colours(len(self.classes) - background)]

    def shares(self) -> dict[str, float]:
        """Share of the photo of every class that occurs, the largest first."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes)) / self.labels.size
        return {self.classes[k]: float(counts[k]) for k in classes_by_area([self.labels], len(self.classes))}

    def panels(self, opacity: float) -> Panels:
        height, width = panel_size(self.pixels)
        labels = Image.fromarray(self.labels.astype(np.int32)).resize(
            (width, height), Image.Resampling.NEAREST
        )
        shown = panel(self.pixels)
        coloured = overlay(np.asarray(shown), np.asarray(labels), self.colours(), opacity)
        return [('image', shown), ('labels', Image.fromarray(coloured))]

    def key(self, width: int, size: int) -> Image.Image:
        return class_key([self], width, size)

    def draw_beside(self, results: Mapping[str, Any], opacity: float) -> Image.Image:
        columns = [result.panels(opacity) for result in results.values()]
        photo = columns[0][0][1]
        picture = table([('', [photo, *(column[1][1] for column in columns)])], ['image', *results])
        return stack([picture, class_key(list(results.values()), picture.width, title_size(photo.width))])

    def save_labels(self, path: str | Path) -> None:
        """Write the labels as a one-channel PNG (16 bits from 256 classes)."""
        write_labels(path, self.labels, len(self.classes))

    def record(self) -> dict[str, Any]:
        shares = {name: round(share, 6) for name, share in self.shares().items()}
        return {**super().record(), 'classes': list(self.classes), 'shares': shares}


def class_key(results: Sequence[Segmentation], width: int, size: int) -> Image.Image:
    """Colours of the classes that occur in any of the results, which share their classes."""
    first = results[0]
    shown = classes_by_area([result.labels for result in results], len(first.classes))
    return colour_key([(first.classes[k], first.colours()[k]) for k in shown], width, size)
