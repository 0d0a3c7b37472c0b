"""One task on many photos: progress, answers on disk, and what could not be read named at the end.

Photos are read and answered one at a time, so that a thousand need no more memory than one. What is answered already is
skipped; a run that was stopped goes on where it was. Exit codes: 0 all is answered; 1 a mistake, told in one sentence;
2 options that argparse refuses; 3 some photos could not be answered; 130 stopped by the user.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..answers import Answer, compare
from ..answers.base import write_json
from ..api import SurgeryModel
from ..command_line import guarded, sentence
from ..figures import check_opacity, save_picture
from ..hooks import progress_line
from ..images import read_image
from .files import Photo, find_photos, is_whole, keep_settings
from .options import add_common, load_models, settings_of

UNANSWERED = 3
STOPPED = 130


@dataclass(frozen=True)
class Question:
    """What a task asks of each photo.

    ask: (model, pixels "H W 3") -> answer.
    settings: what else decides the answer, for the note beside the answers.
    files: endings of further files, by surgery's name, and how each is written from an answer.
    check: looks at the photos before the first is read; raises ValueError.
    end: called once all photos are through, with (photo, its JSON) of all that have an answer, and the output folder.
    """

    ask: Callable[[SurgeryModel, np.ndarray], Answer]
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


def run(task: Task, words: Sequence[str]) -> int:
    """A command with its arguments; the exit code."""
    parser = argparse.ArgumentParser(prog=f'mmseg_clipsurgery {task.name}', description=task.about)
    add_common(parser)
    task.add_options(parser.add_argument_group(task.name))  # type: ignore[arg-type]
    parser.set_defaults(short_side='auto')
    arguments = parser.parse_args(words)
    outcome = Outcome()
    try:
        code = guarded(lambda: answer_all(task, arguments, outcome), arguments.debug)
    except (ImportError, OSError) as error:  # something to install; no place to write to
        print(f'error: {sentence(error)}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nstopped; the same command goes on from here', file=sys.stderr)
        return STOPPED
    return code or (UNANSWERED if outcome.failures else 0)


@dataclass
class Outcome:
    """How a run went: answered, answered before, and what was wrong with the rest."""

    answered: int = 0
    skipped: int = 0
    failures: list[tuple[Path, str]] = field(default_factory=list)


def answer_all(task: Task, arguments: argparse.Namespace, outcome: Outcome) -> None:
    """Answer every photo that has no answer yet, then say how it went."""
    check_opacity(arguments.opacity)
    out = Path(arguments.out)
    photos = find_photos(arguments.photos, out)
    question = task.prepare(arguments)
    if question.check:
        question.check(photos)
    models = load_models(arguments, task.view)
    settings = {**settings_of(arguments), **question.settings}
    keep_settings(out / f'{task.name}.settings.json', settings, arguments.overwrite)
    writer = Writer(task, question, arguments, out, list(models))
    progress = Progress(len(photos))
    for photo in photos:
        if not arguments.overwrite and all(is_whole(path) for path in writer.files(photo)):
            outcome.skipped += 1
        else:
            try:
                pixels = read_image(photo.path)
                answers = {name: question.ask(model, pixels) for name, model in models.items()}
            except (ValueError, OSError, MemoryError, torch.OutOfMemoryError) as error:
                outcome.failures.append((photo.path, sentence(error)))
            else:
                writer.write(photo, answers)
                outcome.answered += 1
                if len(photos) == 1:
                    for name, answer in answers.items():
                        print(f'{photo.path}: {name + ": " if len(models) > 1 else ""}{task.tell(answer)}')
        progress.step()
    report(outcome, out)
    if question.end:
        failed = {path for path, _ in outcome.failures}
        kind = f'{task.name}.json'
        question.end([(photo, writer.path(photo, kind)) for photo in photos if photo.path not in failed], out)


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

    def write(self, photo: Photo, answers: Mapping[str, Answer]) -> None:
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
        self.total, self.done, self.interval = total, 0, interval
        self.start = self.last = time.perf_counter()

    def step(self) -> None:
        self.done += 1
        now, live = time.perf_counter(), sys.stderr.isatty()
        over = self.done == self.total
        if self.total == 1 or not (over or now - self.last >= (0.2 if live else self.interval)):
            return
        self.last = now
        line = progress_line(self.done, self.total, now - self.start)
        print(
            f'\r{line}  ' if live else line,
            end='' if live and not over else '\n',
            file=sys.stderr,
            flush=True,
        )


def report(outcome: Outcome, out: Path) -> None:
    """How the run went; what failed is named."""
    before = f', {outcome.skipped} were answered already' if outcome.skipped else ''
    print(f'{outcome.answered} answered in {out}{before}')
    for path, reason in outcome.failures:
        print(f'not answered: {path}: {reason}', file=sys.stderr)
