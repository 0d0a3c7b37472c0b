"""One process of a run on photos: its part of them (`shards`), its models, its loop (`photo_loop`), and the report.

On a CPU photos are asked in batches only where a batch doesn't change an answer by a bit.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial

from ..api.encoders import MOST_IN_BATCH, Encoders
from ..api.reading import Reading
from ..environment.numbers import check_count
from ..environment.paths import folder_to_write
from ..environment.progress import Progress
from ..visualization.panels import check_opacity
from .files import Photo, ResultFiles, find_photos
from .models import load_models, settings_of
from .origins import RunSettings, read_record
from .outcome import Outcome, report
from .photo_loop import PhotoRun
from .read_ahead import Threads
from .shards import Shard
from .task import Question, Task
from .writer import Writer

MOST_THREADS = 256
SIZES = {'short_side': 'segment', 'explain_side': 'explain', 'recognise_side': 'recognise'}  # of `InputSizes`


def process_photos(task: Task, arguments: argparse.Namespace) -> Outcome:
    """Answer every photo of this process that has no complete results yet, and report how it went.

    Returns:
        How it went; of torchrun's processes the first one has all of it, the others nothing.

    Raises:
        ValueError, FileNotFoundError, ImportError: a mistake that concerns all photos.
        OSError: a result could not be written.
    """
    check_opacity(arguments.opacity)
    check_count('--batch', arguments.batch, most=MOST_IN_BATCH)
    check_count('--threads', arguments.threads, least=0, most=MOST_THREADS)
    shard = Shard.of(arguments.shard, os.environ)
    out = folder_to_write(arguments.out, '--out')
    photos, skipped = find_photos(arguments.photos, out)
    question = task.prepare(arguments)
    if question.end and not shard.is_all:
        raise ValueError(
            '--shard answers a part of the photos, and --format coco and --labels need all; leave them out, and give '
            'them to a last run without --shard, which finds the photos answered'
        )
    if question.check:
        question.check(photos)
    with shard.together():
        own, places = answer_part(task, question, arguments, shard, photos)
        outcome = Outcome.of_all(shard.gathered(own), photos)
    if not shard.speaks:
        return Outcome()
    report(outcome, out, skipped)
    if question.end:
        failed = {path for path, _ in outcome.failures}
        question.end([photo for photo in photos if photo.path not in failed], places)
    return outcome


def answer_part(
    task: Task, question: Question, arguments: argparse.Namespace, shard: Shard, photos: Sequence[Photo]
) -> tuple[Outcome, ResultFiles]:
    """Answer the photos of this process; how it went, and where results are."""
    reading, out = Reading(arguments.bit_depth, arguments.max_pixels), folder_to_write(arguments.out, '--out')
    models = load_models(arguments, task.size)
    beside = shard.notes(out / f'{task.name}.shards.json')
    note = out / f'{task.name}.settings.json'
    asked = {**settings_of(arguments, models, read_record(note)), **question.settings}
    drawn = {'opacity': arguments.opacity, 'bit_depth': reading.bit_depth}
    settings = RunSettings(note, {**asked, **drawn}, arguments.overwrite, beside)
    asks = question.asks(models)
    writer = Writer(task, question, arguments, ResultFiles(out, list(asks)))
    own = shard.part(photos)
    progress = Progress(len(own), interval=10.0 if shard.speaks else None)
    run = PhotoRun(task, asks, writer, settings, reading, arguments.overwrite, progress, len(photos) == 1)
    encoders = next(iter(models.values())).encoders
    batch, writing = at_once(arguments, question, encoders, len(own))
    with Threads.started(arguments.threads, writing, batch) as threads:
        run.answer(own, partial(encoders.tower_input, SIZES[task.size]), batch, threads)
    return run.outcome, writer.places


def at_once(
    arguments: argparse.Namespace, question: Question, encoders: Encoders, photos: int
) -> tuple[int, int]:
    """(Photos that are asked at once of so many, threads that write results): see `Question.of_patches`.

    A CPU is the device itself: threads that draw beside it would only take turns with it.
    """
    if encoders.device.type != 'cpu':
        return arguments.batch, arguments.threads
    batch = max(1, min(arguments.batch, photos))
    return (batch if question.of_patches and encoders.batch_keeps_bits(batch) else 1), 0
