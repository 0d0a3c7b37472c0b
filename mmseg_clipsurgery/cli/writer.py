"""Where the results of a photo go: the figure, the JSON, and what else the task makes."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..api.results import Result, compare
from ..api.results.base import write_json
from ..visualization.figures import save_picture
from .files import Photo
from .task import Question, Task


class Writer:
    """Writes the results of a photo.

    Args:
        task, question: what is asked.
        arguments: the parsed command line; `opacity`, `json` and `no_figures` count.
        out: the output folder.
        surgeries: names of the models that are asked.
    """

    def __init__(
        self,
        task: Task,
        question: Question,
        arguments: argparse.Namespace,
        out: Path,
        surgeries: Sequence[str],
    ):
        self.task, self.question, self.out, self.surgeries = task, question, out, surgeries
        self.opacity = arguments.opacity
        self.figures = not arguments.no_figures
        self.json = arguments.json or task.always_json or (arguments.no_figures and not question.files)

    def files(self, photo: Photo) -> list[Path]:
        """All that is written for a photo."""
        kinds = [f'{self.task.name}.png'] * self.figures + [f'{self.task.name}.json'] * self.json
        kinds += [self.extra(ending, name) for ending in self.question.files for name in self.surgeries]
        return [self.path(photo, kind) for kind in kinds]

    def path(self, photo: Photo, kind: str) -> Path:
        """OUT/<name>_<kind>."""
        return self.out / f'{photo.name}_{kind}'

    def extra(self, ending: str, surgery: str) -> str:
        """'labels.png', with the surgery's name where there are several."""
        stem, dot, kind = ending.rpartition('.')
        return ending if len(self.surgeries) == 1 else f'{stem}_{surgery}{dot}{kind}'

    def origin(self, photo: Photo) -> Path:
        """Where the origin of a photo's results is noted."""
        return self.path(photo, f'{self.task.name}.origin.json')

    def figure(self, results: Mapping[str, Result]) -> Image.Image | None:
        """The figure of a photo, None where none is written; results by surgery's name."""
        return compare(results, self.opacity) if self.figures else None

    def write(self, photo: Photo, results: Mapping[str, Result], figure: Image.Image | None) -> None:
        """Write everything for a photo; results by surgery's name."""
        for ending, save in self.question.files.items():
            for name, result in results.items():
                save(result, self.path(photo, self.extra(ending, name)))
        if self.json:
            write_json(self.path(photo, f'{self.task.name}.json'), self.record(photo, results))
        if figure is not None:
            save_picture(self.path(photo, f'{self.task.name}.png'), figure)

    def record(self, photo: Photo, results: Mapping[str, Result]) -> dict[str, Any]:
        """What the JSON holds: one surgery's result flat, several below their names."""
        head = {'image': str(photo.path), 'task': self.task.name}
        records = {name: result.record() for name, result in results.items()}
        if len(records) == 1:
            ((name, only),) = records.items()
            return {**head, 'surgery': name, **only}
        return {**head, 'surgeries': records}
