"""One task on many photos: progress, answers on disk, and what could not be read named at the end.

Photos are read and answered one at a time, so that a thousand need no more memory than one. What is answered already is
skipped; a run that was stopped goes on where it was. Exit codes: 0 all is answered; 1 a mistake, told in one sentence;
2 options that argparse refuses; 3 some photos could not be answered; 130 stopped by the user.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..api.images import read_image
from ..api.model import SurgeryModel
from ..api.results import Result
from ..environment.mistakes import guarded, sentence
from ..visualization.figures import check_opacity
from .files import Photo, find_photos, is_whole, keep_settings
from .options import add_common, load_models, settings_of
from .task import Progress, Question, Task, Writer

UNANSWERED = 3
STOPPED = 130


def run(task: Task, words: Sequence[str]) -> int:
    """A command with its arguments; the exit code."""
    parser = argparse.ArgumentParser(prog=f'mmseg-clipsurgery {task.name}', description=task.about)
    add_common(parser)
    task.add_options(parser.add_argument_group(task.name))  # type: ignore[arg-type]
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
        there = not arguments.overwrite and all(is_whole(path) for path in writer.files(photo))
        outcome.skipped += there
        if not there and (answers := answers_to(photo, question, models, outcome)):
            writer.write(photo, answers)
            outcome.answered += 1
            if len(photos) == 1:
                tell(task, photo, answers)
        progress.step(skipped=there)
    report(outcome, out)
    if question.end:
        failed = {path for path, _ in outcome.failures}
        kind = f'{task.name}.json'
        question.end([(photo, writer.path(photo, kind)) for photo in photos if photo.path not in failed], out)


def answers_to(
    photo: Photo, question: Question, models: Mapping[str, SurgeryModel], outcome: Outcome
) -> dict[str, Result] | None:
    """The answer of each model; None, and a note in the outcome, for a photo that can't be read or answered."""
    try:
        pixels = read_image(photo.path)
        return {name: question.ask(model, pixels) for name, model in models.items()}
    except (ValueError, OSError, MemoryError, torch.OutOfMemoryError) as error:
        outcome.failures.append((photo.path, sentence(error)))
        return None


def tell(task: Task, photo: Photo, answers: Mapping[str, Result]) -> None:
    """Print the answers to a single photo."""
    for name, answer in answers.items():
        print(f'{photo.path}: {name + ": " if len(answers) > 1 else ""}{task.tell(answer)}')


def report(outcome: Outcome, out: Path) -> None:
    """How the run went; what failed is named."""
    before = f', {outcome.skipped} were answered already' if outcome.skipped else ''
    print(f'{outcome.answered} answered in {out}{before}')
    for path, reason in outcome.failures:
        print('not answered:', reason if str(path) in reason else f'{path}: {reason}', file=sys.stderr)
