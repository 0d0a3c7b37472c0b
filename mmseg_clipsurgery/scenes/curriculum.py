"""What a training batch shows: a function of seed and step alone.

The first scenes show one object on one ground. A part of the batches is hard, because their scenes share a ground and
one or two tints (so only the objects tell them apart), or a ground and two object classes (so the tints must, and in
the last phase only three of them: which object wears which). Captions of a batch name tints always, half the time or
never: where they always or never do, no caption is true of another's image by leaving something out. Tints are named
more often in the last phase: they are seen on objects only, and teach where objects are.
"""

import re
from typing import NamedTuple

import numpy as np

from . import spec
from .draw import Plan, draw_scene
from .words import caption


class Phase(NamedTuple):
    """A part of the run.

    Attributes:
        until: share of the steps at which it ends.
        most_objects: in a scene.
        two_grounds: share of scenes with two grounds.
        shared_tints, shared_objects: shares of the two kinds of hard batches.
        tint_probabilities: probability that a caption names a tint -> share of the other batches.
        tints_of_shared_objects: number of tints in a batch whose scenes share two object classes.
    """

    until: float
    most_objects: int
    two_grounds: float
    shared_tints: float
    shared_objects: float
    tint_probabilities: dict[float, float]
    tints_of_shared_objects: int


EARLY_NAMING = {1.0: 0.25, 0.5: 0.35, 0.0: 0.4}
LATE_NAMING = {1.0: 0.5, 0.5: 0.3, 0.0: 0.2}
PHASES = (
    Phase(1 / 10, 1, 0.0, 0.30, 0.10, EARLY_NAMING, len(spec.TINTS)),
    Phase(8 / 21, 3, spec.TWO_GROUNDS, 0.30, 0.10, EARLY_NAMING, len(spec.TINTS)),
    Phase(1, 3, spec.TWO_GROUNDS, 0.25, 0.15, LATE_NAMING, 3),
)


class Batch(NamedTuple):
    """Scenes and their captions.

    Attributes:
        images: "b h w 3" uint8 RGB.
        captions: one for each image.
        same: "b b" bool, which captions say the same.
    """

    images: np.ndarray
    captions: list[str]
    same: np.ndarray


def training_batch(seed: int, step: int, steps: int, size: int) -> Batch:
    """The batch of a step; no scene index occurs twice in a run.

    Args:
        seed: of the run.
        step: from 0.
        steps: of the whole run.
        size: number of scenes b.
    """
    random = np.random.RandomState([seed, step])
    plan, tint_probability = choose_plan(random, step / steps)
    first = (seed * steps + step) * size
    scenes = [draw_scene('train', first + k, plan) for k in range(size)]
    captions = [caption(scene, random, tint_probability) for scene in scenes]
    said = [contents(text) for text in captions]
    same = np.array([[first == second for first in said] for second in said])
    return Batch(np.stack([scene.image for scene in scenes]), captions, same)


def choose_plan(random, progress: float) -> tuple[Plan, float]:
    """What the scenes of a batch have in common, and the probability that their captions name a tint.

    Args:
        random: a RandomState.
        progress: share of the run that is done, in [0, 1).
    """
    phase = next(phase for phase in PHASES if progress < phase.until)
    settings: dict = {'most_objects': phase.most_objects, 'two_grounds': phase.two_grounds}
    tint_probability = random.choice(
        list(phase.tint_probabilities), p=list(phase.tint_probabilities.values())
    )
    kind = random.random_sample()
    if kind < phase.shared_tints + phase.shared_objects:
        settings['grounds'] = (str(random.choice(spec.GROUNDS)),)
    if kind < phase.shared_tints:
        settings['tints'] = _some(random, spec.TINTS, random.randint(1, 3))
    elif kind < phase.shared_tints + phase.shared_objects:
        settings['objects'] = _some(random, spec.OBJECTS, 2)
        if phase.tints_of_shared_objects < len(spec.TINTS):
            settings['tints'] = _some(random, spec.TINTS, phase.tints_of_shared_objects)
        tint_probability = 1.0
    return Plan(**settings), tint_probability


def contents(text: str) -> tuple[str, ...]:
    """What a caption names, whatever its form: ('grass', 'red fish')."""
    parts = (part.strip() for part in re.split(r'\b(?:a|photo|of|on|with|and)\b|,', text))
    return tuple(sorted(part for part in parts if part))


def _some(random, names, number: int) -> tuple[str, ...]:
    return tuple(map(str, random.choice(list(names), number, replace=False)))
