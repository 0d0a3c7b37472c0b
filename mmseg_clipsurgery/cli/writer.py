"""Where the results of a photo go: the figure, the JSON, and what else the task makes."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from ..api.results import Result, compare
from ..environment.files import write_json
from ..visualization.figures import save_picture
from .files import Photo, ResultFiles
from .task import Question, Task

PLURALS = {'surgery': 'surgeries', 'explainer': 'explainers'}


class Writer:
    """Writes the results of a photo.

    Args:
        task, question: what is asked.
        arguments: the parsed command line; `opacity`, `json` and `no_figures` count.
        places: where results go.
    """

    def __init__(self, task: Task, question: Question, arguments: argparse.Namespace, places: ResultFiles):
        self.task, self.question, self.places = task, question, places
        self.opacity = arguments.opacity
        self.figures = not arguments.no_figures
        self.json = arguments.json or task.always_json or (arguments.no_figures and not question.files)

    def files(self, photo: Photo) -> list[Path]:
        """All that is written for a photo."""
        kinds = [f'{self.task.name}.png'] * self.figures + [f'{self.task.name}.json'] * self.json
        kinds += [
            self.places.of_surgery(kind, name)
            for kind in self.question.files
            for name in self.places.surgeries
        ]
        return [self.places.path(photo, kind) for kind in kinds]

    def origin(self, photo: Photo) -> Path:
        """Where the origin of a photo's results is noted."""
        return self.places.path(photo, f'{self.task.name}.origin.json')

    def figure(self, results: Mapping[str, Result]) -> Image.Image | None:
        """The figure of a photo, None where none is written; results by name."""
        return compare(results, self.opacity) if self.figures else None

    def write(self, photo: Photo, results: Mapping[str, Result], figure: Image.Image | None) -> None:
        """Write everything for a photo; results by name."""
        for kind, save in self.question.files.items():
            for name, result in results.items():
                save(result, self.places.path(photo, self.places.of_surgery(kind, name)), photo.path)
        if self.json:
            write_json(self.places.path(photo, f'{self.task.name}.json'), self.record(photo, results))
        if figure is not None:
            save_picture(self.places.path(photo, f'{self.task.name}.png'), figure)

    def notes(self, results: Mapping[str, Result]) -> list[str]:
        """What is said of a photo beside its files, see `Question.note`; with names where there are several results."""
        note = self.question.note
        found = {name: said for name, result in results.items() if note and (said := note(result))}
        return [f'{name}: {said}' if len(results) > 1 else said for name, said in found.items()]

    def record(self, photo: Photo, results: Mapping[str, Result]) -> dict[str, Any]:
        """What the JSON holds: a single result flat, several below their names."""
        head = {'image': str(photo.path), 'task': self.task.name}
        records = {name: result.record() for name, result in results.items()}
        if len(records) == 1:
            ((name, only),) = records.items()
            return {**head, self.question.compares: name, **only}
        return {**head, PLURALS[self.question.compares]: records}
