"""The table of tests, and one test over all subjects: means with their standard errors."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import TypeAlias

from ..compatibility import reads_guide
from ..explainers.explainer import Explainer, check_explainer
from .deletion import deletion
from .mosaic import mosaic
from .prompts import prompts
from .randomisation import one_stage, randomisation
from .subjects import JudgedCLIP, Settings, Subject

Test: TypeAlias = (
    'Callable[[JudgedCLIP, Mapping[str, Explainer], Sequence[Subject], Settings], '
    'Iterator[tuple[str, dict[str, float]]]]'
)
# Name -> test: (clip, explainers, subjects, settings) -> (explainer, figures) again and again.
TESTS: dict[str, Test] = {
    'deletion': deletion,
    'prompts': prompts,
    'randomisation': randomisation,
    'one_stage': one_stage,
    'mosaic': mosaic,
}


def run_test(
    name: str,
    clip: JudgedCLIP,
    explainers: Mapping[str, Explainer],
    subjects: Sequence[Subject],
    settings: Settings,
) -> dict[str, dict[str, dict[str, float | None]]]:
    """One test.

    Args:
        name: of `TESTS`.
        clip: the CLIP that is judged.
        explainers: by names of the caller's.
        subjects: images and words.
        settings: see there.

    Returns:
        Explainer -> figure -> `summary`.

    Raises:
        ValueError: an unknown test, an explainer that the tower does not fit, or see the test.
    """
    if name not in TESTS:
        raise ValueError(f'unknown test {name!r}; choose of {", ".join(TESTS)}')
    for row in explainers.values():
        check(row, clip)
    values: dict[str, dict[str, list[float]]] = {explainer: {} for explainer in explainers}
    for explainer, figures in TESTS[name](clip, explainers, subjects, settings):
        for figure, value in figures.items():
            values[explainer].setdefault(figure, []).append(value)
    return {
        explainer: {figure: summary(given) for figure, given in found.items()}
        for explainer, found in values.items()
    }


def summary(values: Sequence[float]) -> dict[str, float | None]:
    """Mean of values, its standard error (None of a single value) and their number."""
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    rounded = None if error is None else round(error, 5)
    return {'mean': round(fmean(values), 5), 'error': rounded, 'count': len(values)}


def check(explainer: Explainer, clip: JudgedCLIP) -> None:
    """Refuse an explainer that a tower does not fit, and one that needs a second tower. Raises ValueError."""
    check_explainer(explainer, clip.tower)
    if explainer.surgery is not None and reads_guide(explainer.surgery):
        raise ValueError(
            f'{explainer.title} reads the features of a second tower, which these tests do not give; leave it out'
        )
