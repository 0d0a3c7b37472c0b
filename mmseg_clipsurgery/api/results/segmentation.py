"""A label for every pixel."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...inference.label_files import write_labels
from ...visualization.figures import stack, table, title_size
from ...visualization.label_maps import class_key, classes_by_area, coloured, label_overlay
from ...visualization.palette import label_colours
from ...visualization.panels import OPACITY, panel
from ..formats.detections import to_detections
from ..formats.labelme import write_labelme
from ..formats.palette import write_palette
from ..formats.regions import has_background
from .base import Panels, Result, check_ending


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation(Result):
    """Labels of a photo.

    Attributes:
        labels: "H W" int64, indices into `classes`.
        classes: names; one word alone has the labels ('background', word).
        scores: class scores "k H W" before thresholds, where asked for; for one word "1 H W", its similarity.
        none_present: with `min_presence`: no word is, see `SurgeryModel.segment`.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    scores: np.ndarray | None = None
    none_present: bool = False

    def colours(self) -> list[list[int]]:
        """RGB of each class; the background is black."""
        background = has_background(self.classes)
        return [*([[0, 0, 0]] if background else []), *label_colours(len(self.classes) - background)]

    def shares(self) -> dict[str, float]:
        """Share of the photo of every class that occurs, the largest first."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes)) / self.labels.size
        return {self.classes[k]: float(counts[k]) for k in classes_by_area([self.labels], len(self.classes))}

    def mask(self, name: str) -> np.ndarray:
        """Where a class is, "H W" bool. Raises ValueError for a name that is not among the classes."""
        if name not in self.classes:
            raise ValueError(f'{name!r} is none of the classes {", ".join(map(repr, self.classes))}')
        return self.labels == self.classes.index(name)

    def overlay(self, opacity: float = OPACITY) -> Image.Image:
        """The photo at its own size under the colours of its labels; opacity of these in [0, 1]."""
        return coloured(Image.fromarray(self.pixels), self.labels, self.colours(), opacity)

    def panels(self, opacity: float) -> Panels:
        coloured = label_overlay(self.pixels, self.labels, self.colours(), opacity)
        return [('image', panel(self.pixels)), ('labels', coloured)]

    def key(self, width: int, size: int) -> Image.Image:
        return class_key([self.labels], self.classes, self.colours(), width, size)

    def draw_beside(self, results: Mapping[str, Any], opacity: float) -> Image.Image:
        columns = [result.panels(opacity) for result in results.values()]
        photo = columns[0][0][1]
        picture = table([('', [photo, *(column[1][1] for column in columns)])], ['image', *results])
        maps = [result.labels for result in results.values()]
        size = title_size(photo.width)
        return stack([picture, class_key(maps, self.classes, self.colours(), picture.width, size)])

    def save_labels(self, path: str | Path) -> None:
        """Write the labels as a one-channel PNG: each pixel holds the number of its class.

        16 bits from 256 classes on. Raises ValueError for another ending than .png.
        """
        check_ending(path, 'save_labels', ('.png',))
        write_labels(path, self.labels, len(self.classes))

    def save_palette(self, path: str | Path) -> None:
        """Write the labels as a PNG with a palette, which viewers show in colours.

        Raises:
            ValueError: another ending than .png, or more than 255 classes.
        """
        check_ending(path, 'save_palette', ('.png',))
        write_palette(path, self.labels, self.colours())

    def save_labelme(self, path: str | Path, photo: str | Path) -> None:
        """Write the labels as LabelMe's JSON, a polygon for each connected part of each class; see `formats.labelme`.

        Args:
            path: a .json, which LabelMe looks for beside the photo, under its name.
            photo: the photo's file.

        Raises:
            ValueError: another ending than .json.
        """
        check_ending(path, 'save_labelme', ('.json',))
        write_labelme(path, self.labels, self.classes, photo)

    def to_supervision(self) -> Any:
        """The labels as `supervision.Detections`, see `formats.detections`. Raises ImportError with the remedy."""
        return to_detections(self.labels, self.classes, self.scores)

    def record(self) -> dict[str, Any]:
        shares = {name: round(share, 6) for name, share in self.shares().items()}
        return {**super().record(), 'classes': list(self.classes), 'shares': shares}
