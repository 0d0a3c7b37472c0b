"""Which photos of a run are this process's: those of a shard, or of one of torchrun's processes.

    --shard I/N       photos I, I + N, I + 2 N, ... of the list; nothing binds the shards but the folder of results
    torchrun ...      the same by RANK and WORLD_SIZE; the processes meet at the end, and the first one reports for all

Every process lists all photos, since a result's name depends on the others'. Shards of different N would overlap, so N
is noted beside the results (OUT/<task>.shards.json).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from torch import distributed

from ..environment.launchers import process_of
from .origins import read_record

T = TypeVar('T')
LONGEST_WAIT = timedelta(days=30)  # for the process that is last


@dataclass(frozen=True)
class Shard:
    """A part of a run.

    Attributes:
        index, count: which of how many, from 0.
        launched: by torchrun, which started the others too.
    """

    index: int = 0
    count: int = 1
    launched: bool = False

    @classmethod
    def of(cls, given: str | None, environment: Mapping[str, str]) -> 'Shard':
        """What `--shard`, or torchrun's variables, say.

        Raises:
            ValueError: it is no shard, or both say something.
        """
        rank, processes = process_of(environment)
        if processes == 1:
            return cls() if given is None else cls(*read_shard(given))
        if given is not None:
            raise ValueError(
                f'got --shard {given} in one of {processes} processes of torchrun, which divides the photos itself; '
                'give one of the two'
            )
        return cls(rank, processes, launched=True)

    @property
    def speaks(self) -> bool:
        """Whether this process reports."""
        return not self.launched or self.index == 0

    @property
    def is_all(self) -> bool:
        """Whether the run ends with all photos answered."""
        return self.launched or self.count == 1

    def part(self, photos: Sequence[T]) -> Sequence[T]:
        """Its own photos."""
        return photos[self.index :: self.count]

    def notes(self, note: Path) -> dict[Path, dict[str, int]]:
        """What is to be noted beside the results: path -> the number of shards; nothing where there is one.

        Args:
            note: OUT/<task>.shards.json.

        Raises:
            ValueError: the results are those of another number, with which these shards would overlap.
        """
        if self.is_all:
            return {}
        before = read_record(note).get('shards', self.count)
        if before != self.count:
            raise ValueError(
                f'{note.parent} holds results of {before} shards, and --shard {self.index}/{self.count} would overlap '
                f'with them; give --shard I/{before}, or, once they have ended, remove {note} to divide anew'
            )
        return {note: {'shards': self.count}}

    @contextmanager
    def together(self) -> Iterator[None]:
        """Join torchrun's other processes for a block."""
        if not self.launched:
            yield
            return
        distributed.init_process_group('gloo', timeout=LONGEST_WAIT)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def gathered(self, found: T) -> list[T]:
        """What all processes found, in their order; waits for them."""
        if not self.launched:
            return [found]
        all_found: list = [None] * self.count
        distributed.all_gather_object(all_found, found)
        return all_found


def read_shard(given: str) -> tuple[int, int]:
    """'2/8' -> (2, 8). Raises ValueError for anything else than I/N with I from 0 to N - 1."""
    found = re.fullmatch(r'([0-9]+)/([0-9]+)', given)
    index, count = (int(number) for number in found.groups()) if found else (0, 0)
    if index >= count:
        raise ValueError(
            f'--shard must be I/N, two whole numbers with I from 0 to N - 1, got {given!r}; the first of four is 0/4'
        )
    return index, count
