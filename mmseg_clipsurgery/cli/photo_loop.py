"""One question asked of many photos, one at a time, so that a thousand need no more memory than one.

A photo is skipped when all its outputs exist and are complete: a run that was stopped goes on where it was.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..api.images import read_image
from ..api.model import SurgeryModel
from ..api.results import Result
from ..environment.mistakes import sentence
from ..environment.progress import Progress
from ..visualization.panels import check_opacity
from .files import Photo, find_photos, is_whole, keep_settings
from .models import load_models, settings_of
from .task import Question, Task
from .writer import Writer


@dataclass
class Outcome:
    """How a run went: photos answered, answered before, and (photo, reason) of the rest."""

    answered: int = 0
    skipped: int = 0
    failures: list[tuple[Path, str]] = field(default_factory=list)


def process_photos(task: Task, arguments: argparse.Namespace) -> Outcome:
    """Result every photo that has no complete result yet, and report how it went.

    Raises:
        ValueError, FileNotFoundError, ImportError: a mistake that concerns all photos.
        OSError: a result could not be written.
    """
    check_opacity(arguments.opacity)
    out = Path(arguments.out)
    photos = find_photos(arguments.photos, out)
    question = task.prepare(arguments)
    if question.check:
        question.check(photos)
    models = load_models(arguments, task.size)
    settings = {**settings_of(arguments), **question.settings}
    keep_settings(out / f'{task.name}.settings.json', settings, arguments.overwrite)
    writer = Writer(task, question, arguments, out, list(models))
    outcome, progress = Outcome(), Progress(len(photos))
    for photo in photos:
        there = not arguments.overwrite and all(is_whole(path) for path in writer.files(photo))
        outcome.skipped += there
        if not there and (results := results_of(photo, question, models, outcome)):
            writer.write(photo, results)
            outcome.answered += 1
            if len(photos) == 1:
                tell(task, photo, results)
        progress.step(skipped=there)
    report(outcome, out)
    if question.end:
        failed = {path for path, _ in outcome.failures}
        kind = f'{task.name}.json'
        question.end([(photo, writer.path(photo, kind)) for photo in photos if photo.path not in failed], out)
    return outcome


def results_of(
    photo: Photo, question: Question, models: Mapping[str, SurgeryModel], outcome: Outcome
) -> dict[str, Result] | None:
    """The result of each model; None, and a note in the outcome, for a photo that can't be decoded or answered."""
    try:
        pixels = read_image(photo.path)
        return {name: question.ask(model, pixels) for name, model in models.items()}
    except (ValueError, OSError, MemoryError, torch.OutOfMemoryError) as error:
        outcome.failures.append((photo.path, sentence(error)))
        return None


def tell(task: Task, photo: Photo, results: Mapping[str, Result]) -> None:
    """Print the results of a single photo."""
    for name, result in results.items():
        print(f'{photo.path}: {name + ": " if len(results) > 1 else ""}{task.tell(result)}')


def report(outcome: Outcome, out: Path) -> None:
    """Print how the run went; failed photos are named on stderr."""
    before = f', {outcome.skipped} were answered already' if outcome.skipped else ''
    print(f'{outcome.answered} answered in {out}{before}')
    for path, reason in outcome.failures:
        print('not answered:', reason if str(path) in reason else f'{path}: {reason}', file=sys.stderr)
