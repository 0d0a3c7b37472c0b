"""What a task is, and where its answers go: the figure, the JSON, what else it makes, and a line of progress."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..api.model import SurgeryModel
from ..api.results import Result, compare
from ..api.results.base import write_json
from ..evaluation.hooks.test_loop import progress_line
from ..visualization.figures import save_picture
from .files import Photo


@dataclass(frozen=True)
class Question:
    """What a task asks of each photo.

    ask: (model, pixels "H W 3") -> answer.
    settings: what else decides the answer, for the note beside the answers.
    files: endings of further files, by surgery's name, and how each is written from an answer.
    check: looks at the photos before the first is read; raises ValueError.
    end: called once all photos are through, with (photo, its JSON) of all that have an answer, and the output folder.
    """

    ask: Callable[[SurgeryModel, np.ndarray], Result]
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Callable[[Any, Path], None]] = field(default_factory=dict)
    check: Callable[[list[Photo]], None] | None = None
    end: Callable[[list[tuple[Photo, Path]], Path], None] | None = None


@dataclass(frozen=True)
class Task:
    """A command.

    name: as on the command line.
    about: one sentence.
    add_options: its own options.
    prepare: parsed options -> the question; raises ValueError, FileNotFoundError or ImportError with a remedy.
    tell: an answer in a few words, printed where one photo is asked about.
    view: which size `--short-side` sets, an argument of `load`.
    always_json: the answer is numbers first of all.
    """

    name: str
    about: str
    add_options: Callable[[argparse.ArgumentParser], None]
    prepare: Callable[[argparse.Namespace], Question]
    tell: Callable[[Any], str]
    view: str = 'explain_side'
    always_json: bool = False


class Writer:
    """Writes the answers to a photo: the figure, the JSON, and what else the task makes."""

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
        return self.out / f'{photo.name}_{kind}'

    def extra(self, ending: str, surgery: str) -> str:
        """'labels.png', with the surgery's name where there are several."""
        stem, dot, kind = ending.rpartition('.')
        return ending if len(self.surgeries) == 1 else f'{stem}_{surgery}{dot}{kind}'

    def write(self, photo: Photo, answers: Mapping[str, Result]) -> None:
        for ending, save in self.question.files.items():
            for name, answer in answers.items():
                save(answer, self.path(photo, self.extra(ending, name)))
        if self.json:
            records = {name: answer.record() for name, answer in answers.items()}
            record: dict[str, Any] = {'image': str(photo.path), 'task': self.task.name}
            if len(records) == 1:
                ((name, only),) = records.items()
                record = {**record, 'surgery': name, **only}
            else:
                record = {**record, 'surgeries': records}
            write_json(self.path(photo, f'{self.task.name}.json'), record)
        if self.figures:
            save_picture(self.path(photo, f'{self.task.name}.png'), compare(answers, self.opacity))


class Progress:
    """Photos done and time left: one line rewritten on a terminal, else a line now and then."""

    def __init__(self, total: int, interval: float = 10.0):
        self.total, self.interval = total, interval
        self.done = self.tried = 0
        self.start = self.last = time.perf_counter()

    def step(self, skipped: bool = False) -> None:
        """One photo more; those answered before don't count for the speed."""
        self.done, self.tried = self.done + 1, self.tried + (not skipped)
        now, live = time.perf_counter(), sys.stderr.isatty()
        over = self.done == self.total
        if (
            not self.tried
            or self.total == 1
            or not (over or now - self.last >= (0.2 if live else self.interval))
        ):
            return
        self.last = now
        line = progress_line(self.done, self.total, self.tried / max(now - self.start, 1e-3))
        print(
            f'\r{line}  ' if live else line,
            end='' if live and not over else '\n',
            file=sys.stderr,
            flush=True,
        )
