"""What every result can do.

draw(opacity)        a printable figure (PIL)
save_figure(path)    that figure as a picture (.png, .jpg, .pdf, ...)
record()             what JSON can hold; save_record(path) writes it (.json)
arrays()             the result as numpy arrays; save_arrays(path) writes them (.npz)

The method says what is written, the file's ending only in which format: another ending is refused. Label maps and
masks have methods of their own, `Segmentation.save_labels` and `PromptedMask.save_mask` (.png).
"""

import io
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...environment.files import atomic_write, write_json
from ...environment.paths import user_path
from ...explain import MapScale, similarity_map
from ...visualization.figures import PICTURES, gallery, save_picture, stack, table, title_size
from ...visualization.legends import heat_key
from ...visualization.panels import OPACITY, check_opacity

Panels = list[tuple[str, Image.Image]]


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What one task found in one photo.

    Attributes:
        pixels: the photo, "H W 3" uint8 RGB.
    """

    pixels: np.ndarray

    def __repr__(self) -> str:
        """Its kind, the photo's size and the other fields, arrays by their sizes: a line."""
        fields = [
            f'{name}={short_repr(value)}'
            for name, value in vars(self).items()
            if name != 'pixels' and value is not False
        ]
        height, width = self.pixels.shape[:2]
        return f'{type(self).__name__}({", ".join([f"{height} x {width} pixels", *fields])})'

    def _repr_png_(self) -> bytes:
        """The figure, as notebooks show it."""
        buffer = io.BytesIO()
        self.draw().save(buffer, 'PNG')
        return buffer.getvalue()

    def panels(self, opacity: float) -> Panels:
        """(Title, panel) of what the result shows."""
        raise NotImplementedError

    def key(self, width: int, size: int) -> Image.Image:
        """What explains the colours; width in pixels, size of letters."""
        return heat_key(width, size, note='each map on its own scale')

    def draw(self, opacity: float = OPACITY) -> Image.Image:
        """A printable figure; opacity of the colours over the photo in [0, 1]."""
        panels = self.panels(check_opacity(opacity))
        picture = gallery(panels)
        return stack([picture, self.key(picture.width, title_size(panels[0][1].width))])

    def draw_beside(self, results: Mapping[str, Any], opacity: float) -> Image.Image:
        """This and other results of its kind as the columns of one table, each under its name."""
        columns = [result.panels(opacity) for result in results.values()]
        rows = [
            (self.row_title(row[0][0]), [image for _, image in row]) for row in zip(*columns, strict=True)
        ]
        picture = table(rows, list(results))
        return stack([picture, self.key(picture.width, title_size(columns[0][0][1].width))])

    def row_title(self, title: str) -> str:
        """What a panel's title says of all results alike; nothing here."""
        return ''

    def record(self) -> dict[str, Any]:
        """What JSON can hold: height and width of the photo in pixels, and what was found."""
        size = {'height': self.pixels.shape[0], 'width': self.pixels.shape[1]}
        return {**size, 'none_present': True} if getattr(self, 'none_present', False) else size

    def arrays(self) -> dict[str, np.ndarray]:
        """The result's fields as arrays, words as an array of strings."""
        fields = {
            name: value
            for name, value in vars(self).items()
            if value is not None and value is not False and name != 'pixels'
        }
        return {name: np.asarray(value) for name, value in fields.items()}

    def save_figure(self, path: str | Path, opacity: float = OPACITY) -> None:
        """Write the figure in the format of the file's ending; folders are made as needed.

        Raises:
            ValueError: the ending is of no picture.
        """
        check_ending(path, 'save_figure', PICTURES)
        save_picture(path, self.draw(opacity))

    def save_record(self, path: str | Path) -> None:
        """Write the record as JSON; folders are made as needed. Raises ValueError for another ending than .json."""
        check_ending(path, 'save_record', ('.json',))
        write_json(path, self.record())

    def save_arrays(self, path: str | Path) -> None:
        """Write the arrays, compressed; folders are made as needed. Raises ValueError for another ending than .npz."""
        check_ending(path, 'save_arrays', ('.npz',))
        atomic_write(path, self._write_arrays)

    def _write_arrays(self, path: Path) -> None:
        arrays: dict[str, Any] = self.arrays()
        with path.open('wb') as file:
            np.savez_compressed(file, **arrays)


def compare(results: Mapping[str, Result], opacity: float = OPACITY) -> Image.Image:
    """Results of one kind about one photo side by side, a column each under its name; one alone as it draws itself.

    Raises:
        ValueError: no result, or results of different kinds.
    """
    kinds = {type(result).__name__ for result in results.values()}
    if len(kinds) != 1:
        raise ValueError(f'compare needs results of one kind, got {sorted(kinds) or "none"}')
    first = next(iter(results.values()))
    return first.draw(opacity) if len(results) == 1 else first.draw_beside(results, check_opacity(opacity))


def short_repr(value: Any) -> str:
    """An array by its size, anything else in at most a few words."""
    if isinstance(value, np.ndarray):
        return f'<{" x ".join(map(str, value.shape))} {value.dtype}>'
    return reprlib.repr(value)


def check_ending(path: str | Path, method: str, endings: Sequence[str]) -> None:
    """Make sure that a file's ending is one of a method's.

    Raises:
        ValueError: it is not; the method that writes such files is named. Or no file can have this path.
    """
    user_path(path)
    ending = Path(path).suffix.lower()
    if ending in endings:
        return
    others = {'.json': 'save_record', '.npz': 'save_arrays', **dict.fromkeys(PICTURES, 'save_figure')}
    other = others.get(ending)
    remedy = f'; {other} writes {ending} files' if other else ''
    shown = f'{", ".join(endings[:3])}, ...' if len(endings) > 3 else ', '.join(endings)
    raise ValueError(f'{path}: {method} writes {shown}, got the ending {ending!r}{remedy}')


def maps_at(similarity: np.ndarray, size: tuple[int, int], scale: MapScale = 'minmax') -> np.ndarray:
    """Maps "k h w" on the patch grid -> "k H W" at a size (height, width)."""
    grid = (similarity.shape[1], similarity.shape[2])
    patches = torch.from_numpy(similarity).float().flatten(1).T[None]
    return similarity_map(patches, grid, size, scale)[0].numpy()


def rounded(values: Any, digits: int = 6) -> list:
    """An array as nested lists of short numbers."""
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()
