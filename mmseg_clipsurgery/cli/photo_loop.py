"""One question asked of many photos, a batch at a time, so that a million need no more memory than a hundred.

    photos -> read ahead -> batches of one input size (`read_ahead`) -> results -> files

A photo is skipped when its results are there, unchanged, and come from it and from the same question (`origins`): a run
that was stopped goes on where it was. A photo that can't be answered takes only itself along: its batch is then asked
photo by photo. A question that no photo can be asked (a setting out of range, words that are one for the tower) ends
the run.
"""

import errno
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from ..api.image_files import decode_image, read_bytes
from ..api.reading import Reading
from ..api.results import Result
from ..environment.interrupts import received
from ..environment.mistakes import sentence
from ..environment.progress import Progress
from .files import Photo
from .origins import Origin, RunSettings
from .outcome import Outcome, tell
from .read_ahead import Threads, area, batches
from .task import Task
from .writer import Writer

GREY = np.full((48, 64, 3), 127, np.uint8)
BAD_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)  # refused for one name: other photos go on


class Unanswered(NamedTuple):
    """A photo that has to be asked, as it was read."""

    photo: Photo
    origin: Origin
    why: str
    pixels: np.ndarray


class Written(NamedTuple):
    """A photo whose results are on disk.

    Attributes:
        why: see `Origin.why_unanswered`.
        results: by name, where they are told.
        notes: what else is said of the photo.
    """

    photo: Photo
    why: str
    results: Mapping[str, Result]
    notes: Sequence[str] = ()


class Failed(NamedTuple):
    """A photo that can't be answered, and why."""

    photo: Photo
    reason: str


@dataclass
class PhotoRun:
    """A question, who is asked, and where results go.

    Attributes:
        task: what is asked.
        asks: what is asked of photos, by name, see `Question.asks`.
        writer: writes results.
        settings: what decides the results beside the photo.
        reading: how images are read.
        overwrite: answer every photo, whatever is there.
        progress: told of every photo that is done with.
        tells: print the results of each photo.
        outcome: how it went so far.
        questioned: a photo failed, and it was found out that not by the question, see `check_question`.
    """

    task: Task
    asks: Mapping[str, Callable[[list[np.ndarray]], Sequence[Result]]]
    writer: Writer
    settings: RunSettings
    reading: Reading
    overwrite: bool
    progress: Progress
    tells: bool
    outcome: Outcome = field(default_factory=Outcome)
    questioned: bool = False

    def answer(self, photos: Iterable[Photo], size_of: Callable, batch: int, threads: Threads) -> None:
        """Answer photos that are not answered yet.

        Args:
            photos: in their order.
            size_of: from a photo's (height, width) to the size at which the tower takes it.
            batch: photos that are asked at once.
            threads: what reads and writes beside the main thread.

        Raises:
            OSError: a result could not be written.
        """
        for part in batches(self.unanswered(threads.readers.mapped(self.read, photos)), size_of, batch):
            for found, results in zip(part, self.results(part), strict=True):
                if isinstance(results, Failed):
                    self.fail(results)
                    continue
                pixels = area([found])
                for written in threads.writers.do(self.write, found, results, pixels=pixels):
                    self.count(written)
        for written in threads.writers.rest():
            self.count(written)

    def read(self, photo: Photo) -> Unanswered | Failed | None:
        """A photo's pixels; None where it is answered already."""
        try:
            data = read_bytes(photo.path)
            files = self.writer.files(photo)
            origin = Origin(photo.path, data, self.settings.sha256, self.writer.origin(photo), files)
            why = 'new' if self.overwrite else origin.why_unanswered()
            if why is None:
                return None
            return Unanswered(photo, origin, why, decode_image(data, str(photo.path), self.reading))
        except Exception as error:
            return Failed(photo, reason_of_one(error))

    def results(self, batch: Sequence[Unanswered]) -> list[Mapping[str, Result] | Failed]:
        """Results of photos, by name; those of a batch that fails are asked one by one."""
        pixels = [found.pixels for found in batch]
        try:
            by_name = {name: ask(pixels) for name, ask in self.asks.items()}
        except Exception as error:
            reason = reason_of_one(error)
            self.check_question(error)
            if len(batch) == 1:
                return [Failed(batch[0].photo, reason)]
        else:
            return [{name: results[k] for name, results in by_name.items()} for k in range(len(batch))]
        return [found for one in batch for found in self.results([one])]

    def check_question(self, error: Exception) -> None:
        """Find out, once a run, whether a photo failed by the question: a grey one then fails by the same sentence.

        Raises:
            ValueError: it is so, and no photo can be answered.
        """
        if self.questioned or not isinstance(error, ValueError):
            return
        self.questioned = True
        try:
            for ask in self.asks.values():
                ask([GREY])
        except ValueError as found:
            if str(found) == str(error):
                raise

    def write(self, found: Unanswered, results: Mapping[str, Result]) -> Written | Failed:
        """Draw and write what was found out about a photo.

        Raises:
            OSError: a result could not be written.
        """
        try:
            figure = self.writer.figure(results)
        except Exception as error:
            return Failed(found.photo, reason_of_one(error))
        try:
            self.settings.note()
            self.writer.write(found.photo, results, figure)
            found.origin.note()
        except OSError as error:
            if error.errno not in BAD_NAME:
                raise
            return Failed(found.photo, f'its results have no place: {error.strerror}')
        return Written(found.photo, found.why, results if self.tells else {}, self.writer.notes(results))

    def unanswered(self, read: Iterable[Unanswered | Failed | None]) -> Iterator[Unanswered]:
        """The photos that have to be asked; the others are counted."""
        for found in read:
            if isinstance(found, Unanswered):
                yield found
            elif found is None:
                self.outcome.skipped += 1
                self.progress.step(skipped=True)
            else:
                self.fail(found)

    def count(self, written: Written | Failed) -> None:
        """Count a photo whose results were to be written."""
        if isinstance(written, Failed):
            self.fail(written)
            return
        self.outcome.answered += 1
        self.outcome.again[written.why] += written.why != 'new'
        if self.tells:
            tell(self.task, written.photo, written.results)
        for note in written.notes:
            print(f'{written.photo.path}: {note}', file=sys.stderr)
        self.progress.step()

    def fail(self, found: Failed) -> None:
        """Count a photo that can't be answered."""
        self.outcome.failures.append((found.photo.path, found.reason))
        self.progress.step()


def reason_of_one(error: Exception) -> str:
    """Why a photo can't be read or answered; an error that concerns all photos is raised."""
    if received() or not concerns_one_photo(error):
        raise error
    return sentence(error) or type(error).__name__


def concerns_one_photo(error: Exception) -> bool:
    """Whether an error says that a photo can't be read or answered, or takes more memory than there is."""
    if isinstance(error, ValueError | OSError | MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and 'allocat' in str(error)  # of PyTorch's memory on the CPU
