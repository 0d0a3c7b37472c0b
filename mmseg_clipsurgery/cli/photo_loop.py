"""One question asked of many photos, one at a time, so that a thousand need no more memory than one.

A photo is skipped when its results are there, unchanged, and come from it and from the same question (`origins`): a run
that was stopped goes on where it was. A photo that can't be answered takes only itself along.
"""

import argparse
import errno
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ..api.image_files import decode_image, read_bytes
from ..api.reading import Reading
from ..api.results import Result
from ..environment.interrupts import received
from ..environment.mistakes import sentence
from ..environment.paths import folder_to_write
from ..environment.progress import Progress
from ..visualization.panels import check_opacity
from .files import Photo, ResultFiles, find_photos
from .models import load_models, settings_of
from .origins import Origin, keep_settings, read_record
from .task import Question, Task
from .writer import Writer

BAD_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)  # refused for one name: other photos go on


NAMED = 5  # skipped files that are named


@dataclass
class Outcome:
    """How a run went: photos answered (of which again, and why), answered before, and (photo, reason) of the rest."""

    answered: int = 0
    skipped: int = 0
    again: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Path, str]] = field(default_factory=list)


@dataclass
class PhotoRun:
    """A question, who is asked, and where results go.

    Attributes:
        task, question: what is asked.
        asks: what is asked of each photo, by name, see `Question.asks`.
        writer: writes results.
        settings: SHA-256 of what decides the results beside the photo.
        reading: how images are read.
        overwrite: answer every photo, whatever is there.
        outcome: how it went so far.
    """

    task: Task
    question: Question
    asks: Mapping[str, Callable[[np.ndarray], Result]]
    writer: Writer
    settings: str
    reading: Reading
    overwrite: bool
    outcome: Outcome = field(default_factory=Outcome)

    def answer(self, photo: Photo, alone: bool) -> bool:
        """Answer a photo unless it is answered already; whether it had to be asked.

        Args:
            photo: its file.
            alone: it is the only one, so its results are printed.

        Raises:
            OSError: a result could not be written.
        """
        try:
            data = read_bytes(photo.path)
            files = self.writer.files(photo)
            origin = Origin(photo.path, data, self.settings, self.writer.origin(photo), files)
            why = 'new' if self.overwrite else origin.why_unanswered()
            if why is None:
                self.outcome.skipped += 1
                return False
            pixels = decode_image(data, str(photo.path), self.reading)
            results = {name: ask(pixels) for name, ask in self.asks.items()}
            figure = self.writer.figure(results)
        except Exception as error:
            if received() or not concerns_one_photo(error):
                raise
            self.outcome.failures.append((photo.path, sentence(error) or type(error).__name__))
            return True
        try:
            self.writer.write(photo, results, figure)
            origin.note()
        except OSError as error:
            if error.errno not in BAD_NAME:
                raise
            self.outcome.failures.append((photo.path, f'its results have no place: {error.strerror}'))
            return True
        self.outcome.answered += 1
        self.outcome.again[why] += why != 'new'
        if alone:
            tell(self.task, photo, results)
        return True


def process_photos(task: Task, arguments: argparse.Namespace) -> Outcome:
    """Answer every photo that has no complete results yet, and report how it went.

    Raises:
        ValueError, FileNotFoundError, ImportError: a mistake that concerns all photos.
        OSError: a result could not be written.
    """
    check_opacity(arguments.opacity)
    reading, out = Reading(arguments.bit_depth, arguments.max_pixels), folder_to_write(arguments.out, '--out')
    photos, skipped = find_photos(arguments.photos, out)
    question = task.prepare(arguments)
    if question.check:
        question.check(photos)
    models = load_models(arguments, task.size)
    note = out / f'{task.name}.settings.json'
    asked = {**settings_of(arguments, models, read_record(note)), **question.settings}
    settings = keep_settings(
        note, {**asked, 'opacity': arguments.opacity, 'bit_depth': reading.bit_depth}, arguments.overwrite
    )
    asks = question.asks(models)
    writer = Writer(task, question, arguments, ResultFiles(out, list(asks)))
    run, progress = (
        PhotoRun(task, question, asks, writer, settings, reading, arguments.overwrite),
        Progress(len(photos)),
    )
    for photo in photos:
        progress.step(skipped=not run.answer(photo, alone=len(photos) == 1))
    report(run.outcome, out, skipped)
    if question.end:
        failed = {path for path, _ in run.outcome.failures}
        question.end([photo for photo in photos if photo.path not in failed], writer.places)
    return run.outcome


def concerns_one_photo(error: Exception) -> bool:
    """Whether an error says that a photo can't be read or answered, or takes more memory than there is."""
    if isinstance(error, ValueError | OSError | MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and 'allocat' in str(error)  # of PyTorch's memory on the CPU


def tell(task: Task, photo: Photo, results: Mapping[str, Result]) -> None:
    """Print the results of a single photo."""
    for name, result in results.items():
        print(f'{photo.path}: {name + ": " if len(results) > 1 else ""}{task.tell(result)}')


def report(outcome: Outcome, out: Path, skipped: Sequence[Path]) -> None:
    """Print how the run went; failed photos, and files that were taken for no photos, are named on stderr."""
    reasons = ', '.join(f'{count} {why}' for why, count in outcome.again.items() if count)
    again = f' ({reasons}: answered again)' if reasons else ''
    before = f', {outcome.skipped} were answered already' if outcome.skipped else ''
    photos = 'photo' if outcome.answered == 1 else 'photos'
    print(f'{outcome.answered} {photos} answered, results in {out}{again}{before}')
    if skipped:
        first = ', '.join(map(str, skipped[:NAMED])) + (', ...' if len(skipped) > NAMED else '')
        print(f'skipped, no photos by their names ({len(skipped)}): {first}', file=sys.stderr)
    for path, reason in outcome.failures:
        print('not answered:', reason if str(path) in reason else f'{path}: {reason}', file=sys.stderr)
