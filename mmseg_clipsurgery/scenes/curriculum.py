"""What a training batch shows: a function of seed and step alone.

The first 15 % of the steps show one object on one ground. A part of the batches is hard, because their scenes share
a ground and one or two tints (so only the objects tell them apart), or a ground and two object classes (so the tints
must). Captions of a batch name tints always, half the time or never: where they always or never do, no caption is
true of another's image by leaving something out.
"""

import re
from typing import NamedTuple

import numpy as np

from . import spec
from .draw import Plan, draw_scene
from .words import caption

EASY_UNTIL = 0.15  # share of the steps
SHARED_TINTS, SHARED_OBJECTS = 0.30, 0.10  # shares of the two kinds of hard batches
TINT_PROBABILITIES = {1.0: 0.25, 0.5: 0.35, 0.0: 0.4}  # of naming a tint, with their shares of the batches


class Batch(NamedTuple):
    """images: uint8 RGB "b h w 3"; captions; same: bool "b b", which captions say the same."""

    images: np.ndarray
    captions: list[str]
    same: np.ndarray


def training_batch(seed: int, step: int, steps: int, size: int) -> Batch:
    """The batch of one step; no scene index comes twice in a run."""
    random = np.random.RandomState([seed, step])
    plan, tint_probability = choose_plan(random, step / steps)
    first = (seed * steps + step) * size
    scenes = [draw_scene('train', first + k, plan) for k in range(size)]
    captions = [caption(scene, random, tint_probability) for scene in scenes]
    said = [contents(text) for text in captions]
    same = np.array([[one == other for one in said] for other in said])
    return Batch(np.stack([scene.image for scene in scenes]), captions, same)


def choose_plan(random, progress: float) -> tuple[Plan, float]:
    """What the scenes of a batch have in common, and how often their captions name a tint; progress 0..1."""
    settings: dict = {'most_objects': 1, 'two_grounds': 0.0} if progress < EASY_UNTIL else {}
    tint_probability = random.choice(list(TINT_PROBABILITIES), p=list(TINT_PROBABILITIES.values()))
    kind = random.random_sample()
    if kind < SHARED_TINTS + SHARED_OBJECTS:
        settings['grounds'] = (str(random.choice(spec.GROUNDS)),)
    if kind < SHARED_TINTS:
        tints = random.choice(list(spec.TINTS), random.randint(1, 3), replace=False)
        settings['tints'] = tuple(map(str, tints))
    elif kind < SHARED_TINTS + SHARED_OBJECTS:
        settings['objects'] = tuple(map(str, random.choice(spec.OBJECTS, 2, replace=False)))
        tint_probability = 1.0
    return Plan(**settings), tint_probability


def contents(text: str) -> tuple[str, ...]:
    """What a caption names, whatever its form: ('grass', 'red fish')."""
    parts = (part.strip() for part in re.split(r'\b(?:a|photo|of|on|with|and)\b|,', text))
    return tuple(sorted(part for part in parts if part))
