"""What is promised of the cost, and whether a measured file keeps it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Aim(NamedTuple):
    """One promise: a figure of the file, named by its path, that must not lie beyond a limit; `on`: on what device."""

    what: str
    path: Sequence[str]
    at_most: bool
    limit: float
    unit: str = 'x'
    on: str = 'cpu'

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
        return f'{value:.4g} {self.unit}'.rstrip() if value < 1000 else f'{value:.0f} {self.unit}'

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
    Aim(
        'bf16, slide protocol, photos on disk to figures by the test tool, to the plain tower alone',
        ('loop', 'to the tower'),
        at_most=False,
        limit=0.8,
        on='cuda',
    ),
    Aim(
        'the same, to one window at a time',
        ('loop', 'to one window at a time'),
        at_most=False,
        limit=4,
        on='cuda',
    ),
)


def rows(sections: Mapping[str, Any], device: str = 'cpu') -> list[tuple[str, str, str, str]]:
    """(what, aim, measured, kept) of every aim for a device ('cpu' or 'cuda') that was measured, in words."""
    measured = ((aim, aim.found(sections)) for aim in AIMS if aim.on == device)
    return [
        (aim.what, aim.wanted, aim.with_unit(value), 'yes' if aim.kept(value) else 'no')
        for aim, value in measured
        if value is not None
    ]
