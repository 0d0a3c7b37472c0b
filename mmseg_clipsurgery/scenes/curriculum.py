"""What a training batch shows: a function of seed and step alone.

Phases follow one another: one object on one ground, then up to three objects on up to two grounds. At first most
batches share a ground and one or two tints, so that only the objects tell their scenes apart. From the second phase on
a batch is several groups of scenes, each with a plan of its own: a ground is still told from those of other groups,
and within most groups a part of the scene has to be found. Scenes of one kind of group share two grounds, one or two
tints and four object classes, so their captions differ in an object or two; those of another share a ground and two
object classes, so their captions differ in which object wears which tint.

Captions name tints always, half the time or never, the same for a batch (but always where tints alone differ): where
they always or never do, no caption is true of another's image by leaving something out.
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
        object_counts: share of scenes with so many objects.
        two_grounds: share of scenes with two grounds.
        groups: number of groups in a batch.
        shared_tints, shared_objects: shares of the two kinds of groups that share something.
        grounds_of_shared_tints, objects_of_shared_tints: number of names of each in a group that shares its tints.
        tint_probabilities: probability that a caption names a tint -> share of the batches.
    """

    until: float
    object_counts: dict[int, float]
    two_grounds: float
    groups: int
    shared_tints: float
    shared_objects: float
    grounds_of_shared_tints: int
    objects_of_shared_tints: int
    tint_probabilities: dict[float, float]


NO_NAMING = {0.0: 1.0}
NAMING = {1.0: 0.4, 0.5: 0.3, 0.0: 0.3}
MANY = {1: 0.1, 2: 0.3, 3: 0.6}
PHASES = (
    Phase(0.04, {1: 1.0}, 0.0, 1, 0.70, 0.00, 1, len(spec.OBJECTS), NO_NAMING),
    Phase(0.10, {1: 0.4, 2: 0.6}, 0.2, 8, 0.60, 0.25, 2, 4, NAMING),
    Phase(1.00, MANY, spec.TWO_GROUNDS, 8, 0.60, 0.25, 2, 4, NAMING),
)
TINTS_OF_SHARED_OBJECTS = 3  # number of tints in a group whose scenes share two object classes


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
    phase = next(phase for phase in PHASES if step / steps < phase.until)
    tint_probability = random.choice(
        list(phase.tint_probabilities), p=list(phase.tint_probabilities.values())
    )
    first = (seed * steps + step) * size
    scenes, captions = [], []
    for places in np.array_split(np.arange(size), phase.groups):
        plan, tints_differ = choose_plan(random, phase)
        drawn = [draw_scene('train', first + int(place), plan) for place in places]
        scenes += drawn
        captions += [caption(scene, random, 1.0 if tints_differ else tint_probability) for scene in drawn]
    said = [contents(text) for text in captions]
    same = np.array([[one == other for other in said] for one in said])
    return Batch(np.stack([scene.image for scene in scenes]), captions, same)


def choose_plan(random, phase: Phase) -> tuple[Plan, bool]:
    """What the scenes of a group have in common, and whether their tints are what tells them apart.

    Args:
        random: a RandomState.
        phase: of the run.
    """
    settings: dict = {
        'sizes': {spec.TRAINING_SIZE: 1.0},
        'object_counts': phase.object_counts,
        'two_grounds': phase.two_grounds,
    }
    kind = random.random_sample()
    if kind < phase.shared_tints:
        grounds = _some(random, spec.GROUNDS, phase.grounds_of_shared_tints)
        allowed = [name for name in spec.OBJECTS if spec.HELD_OUT_GROUND[name] not in grounds]
        settings['grounds'], settings['tints'] = grounds, _some(random, spec.TINTS, random.randint(1, 3))
        settings['objects'] = _some(random, allowed, min(phase.objects_of_shared_tints, len(allowed)))
    elif kind < phase.shared_tints + phase.shared_objects:
        objects = _some(random, spec.OBJECTS, 2)
        held_out = [spec.HELD_OUT_GROUND[name] for name in objects]
        settings['objects'] = objects
        settings['grounds'] = _some(random, [name for name in spec.GROUNDS if name not in held_out], 1)
        settings['tints'] = _some(random, spec.TINTS, TINTS_OF_SHARED_OBJECTS)
        return Plan(**settings), True
    return Plan(**settings), False


def contents(text: str) -> tuple[str, ...]:
    """What a caption names, whatever its form: ('grass', 'red fish')."""
    parts = (part.strip() for part in re.split(r'\b(?:a|photo|of|on|with|and)\b|,', text))
    return tuple(sorted(part for part in parts if part))


def _some(random, names, number: int) -> tuple[str, ...]:
    return tuple(map(str, random.choice(list(names), number, replace=False)))
