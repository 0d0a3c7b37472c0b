"""How a run over photos went, and how that is told."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..api.results import Result
from .files import Photo
from .task import Task

NAMED = 5  # skipped files that are named


@dataclass
class Outcome:
    """How a run went: photos answered (of which again, and why), answered before, and (photo, reason) of the rest."""

    answered: int = 0
    skipped: int = 0
    again: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Path, str]] = field(default_factory=list)

    @classmethod
    def of_all(cls, parts: Sequence['Outcome'], photos: Iterable[Photo]) -> 'Outcome':
        """That of several processes, its failures in the order of the photos."""
        failures = {path: reason for part in parts for path, reason in part.failures}
        return cls(
            sum(part.answered for part in parts),
            sum(part.skipped for part in parts),
            sum((part.again for part in parts), Counter()),
            [(photo.path, failures[photo.path]) for photo in photos if photo.path in failures],
        )


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
