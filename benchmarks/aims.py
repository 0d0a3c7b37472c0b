"""What is promised of the cost, and whether a measured file keeps it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Aim(NamedTuple):
    """One promise: a figure of the file, named by its path, that must not lie beyond a limit."""

    what: str
    path: Sequence[str]
    at_most: bool
    limit: float
    unit: str = 'x'

    def found(self, sections: Mapping[str, Any]) -> float | None:
        """The figure (a median where there is an interval); None where it was not measured."""
        value: Any = sections
        for key in self.path:
            if not isinstance(value, Mapping) or key not in value:
                return None
            value = value[key]
        return value['median'] if isinstance(value, Mapping) else value

    def kept(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def with_unit(self, value: float) -> str:
        return f'{value:.3g} {self.unit}'.rstrip() if value < 1000 else f'{value:.0f} {self.unit}'

    @property
    def wanted(self) -> str:
        return f'{"<=" if self.at_most else ">="} {self.with_unit(self.limit)}'


AIMS = (
    Aim(
        'image to labels at 512 x 512, 59 classes, to the plain forward',
        ('image', 'variants', 'labels, 59', 'ratio'),
        at_most=True,
        limit=1.05,
    ),
    Aim('the same, 171 classes', ('image', 'variants', 'labels, 171', 'ratio'), at_most=True, limit=1.08),
    Aim(
        'the published steps to ours, 59 classes',
        ('image', 'pairs', 'published / labels, 59'),
        at_most=False,
        limit=1.45,
    ),
    Aim('the same, 171 classes', ('image', 'pairs', 'published / labels, 171'), at_most=False, limit=1.55),
    Aim(
        'slide protocol, 336 x 448, 56 queries, photo to labels, to the tower on the same windows',
        ('slide', 'variants', 'labels', 'ratio'),
        at_most=True,
        limit=1.10,
    ),
    Aim(
        'peak memory above the weights, 2048 x 1024, slide, 847 classes, labels only',
        ('memory', 'classes', '847', 'labels'),
        at_most=True,
        limit=1024,
        unit='MiB',
    ),
    Aim(
        'text, 85 templates: class by class at full length to ours',
        ('text', 'faster'),
        at_most=False,
        limit=6.5,
    ),
    Aim(
        'text, largest difference to class by class',
        ('text', 'largest difference'),
        at_most=True,
        limit=1e-5,
        unit='',
    ),
    Aim(
        'text, second start from the cache, 171 words x 85 templates',
        ('text', 'second start', 'wall'),
        at_most=True,
        limit=1,
        unit='s',
    ),
    Aim(
        'two processes on two cores to one on one core, images a second',
        ('processes', 'faster'),
        at_most=False,
        limit=1.8,
    ),
)


def rows(sections: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(what, aim, measured, kept) of every aim that was measured, in words."""
    measured = ((aim, aim.found(sections)) for aim in AIMS)
    return [
        (aim.what, aim.wanted, aim.with_unit(value), 'yes' if aim.kept(value) else 'no')
        for aim, value in measured
        if value is not None
    ]
