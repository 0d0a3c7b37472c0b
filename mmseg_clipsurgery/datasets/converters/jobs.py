"""Files made from other files, each whole or not at all; sources are looked for before the first file is made."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ...environment.files import atomic_write
from ...inference.image_formats import heed_limit

DOWNLOAD = 'download the masks of the data set, see docs/datasets.md'
FORMATS = {'.png': 'PNG', '.jpg': 'JPEG'}
Content = Image.Image | Path  # an image to save, or a file to copy
Report = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One file to make.

    Attributes:
        source: the file it is made from.
        target: its path.
        make: returns its content.
        options: of `PIL.Image.Image.save`.
        remedy: what to do where the source is missing.
    """

    source: Path
    target: Path
    make: Callable[[], Content]
    options: tuple[tuple[str, Any], ...] = ()
    remedy: str = DOWNLOAD


def run(jobs: Sequence[Job], report: Report = lambda line: None, threads: int = 8) -> tuple[int, int]:
    """Make the files that are not there yet.

    Args:
        jobs: the files to make.
        report: called with a line for every 500 files.
        threads: files made at the same time.

    Returns:
        Number of files made, number of files that were there already.

    Raises:
        FileNotFoundError: a source is missing; nothing has been made.
        ValueError: two sources have one target (nothing has been made), or a source is damaged or holds what its data
            set does not have.
    """
    check_targets(jobs)
    left = [job for job in jobs if not job.target.is_file()]
    for job in left:
        if not job.source.is_file():
            raise FileNotFoundError(f'{job.source} does not exist: {job.remedy}')
    heed_limit()
    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(make, left), start=1):
            if done % 500 == 0:
                report(f'{done}/{len(left)} files made')
    return len(left), len(jobs) - len(left)


def check_targets(jobs: Sequence[Job]) -> None:
    """Raise ValueError if files of two places would be made into one, as images of one name in two folders would."""
    source_of: dict[Path, Path] = {}
    for job in jobs:
        other = source_of.setdefault(job.target, job.source)
        if other != job.source:
            raise ValueError(
                f'{other} and {job.source} would both be made into {job.target}: take one of them away'
            )


def make(job: Job) -> None:
    """Make one file. Raises ValueError as `job.make` does."""
    content = job.make()
    atomic_write(job.target, lambda temporary: save(content, temporary, job))


def save(content: Content, path: Path, job: Job) -> None:
    """Write the content of a job's file, under another name."""
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        content.save(path, format=FORMATS[job.target.suffix], **dict(job.options))


def files(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder, sorted.

    Args:
        folder: where to look.
        pattern: a glob pattern relative to it.

    Raises:
        FileNotFoundError: there are none.
    """
    found = sorted(folder.glob(pattern))
    if not found:
        raise FileNotFoundError(
            f'no {pattern} in {folder}: give the folder of the data set as docs/datasets.md shows it'
        )
    return found
