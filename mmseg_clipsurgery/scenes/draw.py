"""One scene from (split, index): the same bytes on every machine, whatever was drawn before.

    grounds -> objects, back to front -> light and grain -> uint8

All mixing of colours is done in integers; see `textures` for what keeps the rest exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from . import spec
from .shapes import TABLE, core, silhouette
from .textures import grain, ground_maps, pattern_maps, rotation

RIM_LIGHT = 90  # of 256


@dataclass(frozen=True)
class Scene:
    """A drawn scene.

    Attributes:
        image: "h w 3" uint8 RGB.
        mask: "h w" uint8, indices into `spec.CLASSES`.
        objects: (name, tint) of each object that can be seen.
        grounds: names of those that can be seen.
    """

    image: np.ndarray
    mask: np.ndarray
    objects: tuple[tuple[str, str], ...]
    grounds: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What a scene may hold; training uses it to make batches whose scenes share something.

    Attributes:
        objects, grounds, tints: names to choose from.
        object_counts: share of scenes with so many objects, before a crowded one is dropped.
        two_grounds: probability of a second ground.
        sizes: (height, width) -> share of the scenes.
    """

    objects: tuple[str, ...] = spec.OBJECTS
    grounds: tuple[str, ...] = spec.GROUNDS
    tints: tuple[str, ...] = tuple(spec.TINTS)
    object_counts: Mapping[int, float] = field(default_factory=lambda: spec.OBJECT_COUNTS)
    two_grounds: float = spec.TWO_GROUNDS
    sizes: Mapping[tuple[int, int], float] = field(default_factory=lambda: spec.SIZES)


def draw_scene(split: str, index: int, plan: Plan = Plan()) -> Scene:
    """Draw a scene; `spec` says what the splits share and what they don't.

    Args:
        split: one of `spec.SPLITS`.
        index: of the scene, from 0.
        plan: what it may hold.

    Raises:
        ValueError: unknown split, negative index, or a plan with no object that may wear one of its tints.
    """
    if split not in spec.SPLITS or index < 0:
        raise ValueError(f'Scenes have splits {spec.SPLITS} and indices from 0: got {split!r}, {index}.')
    random = np.random.RandomState([spec.VERSION, spec.SPLITS.index(split), index])
    pool, rule = spec.POOL_OF_SPLIT[split], Rule.of(split, index)
    canvas, mask, grounds = _draw_grounds(random, pool, rule, plan)
    choices = _choose_objects(random, rule, plan, grounds, mask.shape)
    objects = [_draw_object(random, pool, canvas, mask, *choice) for choice in choices]
    seen = {spec.CLASSES[label] for label in np.unique(mask)}
    return Scene(
        image=_light(random, canvas),
        mask=mask,
        objects=tuple(pair for pair in objects if pair[0] in seen),
        grounds=tuple(name for name in grounds if name in seen),
    )


class Rule(Enum):
    """Which pairs of an object with a tint, and with the grounds of its scene, a scene may show."""

    SEEN = 'no held-out pair'
    TINTS = 'held-out tints alone'
    GROUNDS = 'held-out grounds alone'

    @classmethod
    def of(cls, split: str, index: int) -> 'Rule':
        """The rule of a scene."""
        return (cls.TINTS, cls.GROUNDS)[index % 2] if split == 'heldout' else cls.SEEN

    def tints(self, name: str, tints: tuple[str, ...] = tuple(spec.TINTS)) -> list[str]:
        """Those of `tints` that an object may wear."""
        return [tint for tint in tints if (tint == spec.HELD_OUT_TINT[name]) == (self is Rule.TINTS)]

    def allows(self, name: str, grounds: tuple[str, ...]) -> bool:
        """Whether an object may stand in a scene with these grounds."""
        return (spec.HELD_OUT_GROUND[name] in grounds) == (self is Rule.GROUNDS)


def _below(random, n: int) -> int:
    return int(random.random_sample() * n)


def _pick(random, items):
    return items[_below(random, len(items))]


def _between(random, low: float, high: float) -> float:
    return low + (high - low) * random.random_sample()


def _weighted(random, shares: Mapping):
    """A key, each with its share of the chances."""
    position = random.random_sample()
    for key, share in shares.items():
        position -= share
        if position < 0:
            return key
    return key


def _draw_grounds(random, pool: str, rule: Rule, plan: Plan):
    height, width = _weighted(random, plan.sizes)
    first = _pick(random, plan.grounds)
    others = [name for name in plan.grounds if name != first]
    canvas = _ground(random, pool, first, height, width)
    mask = np.full((height, width), spec.CLASSES.index(first), np.uint8)
    if not others or rule is Rule.GROUNDS or random.random_sample() >= plan.two_grounds:
        return canvas, mask, (first,)
    second = _pick(random, others)
    beyond = _far_side(random, height, width)
    canvas[beyond] = _ground(random, pool, second, height, width)[beyond]
    mask[beyond] = spec.CLASSES.index(second)
    return canvas, mask, (first, second)


def _ground(random, pool: str, name: str, height: int, width: int) -> np.ndarray:
    texture = _pick(random, ground_maps(pool, name))
    top, left = (_below(random, spec.MAP_SIZE - side + 1) for side in (height, width))
    window = texture[top : top + height, left : left + width]
    window = window[:, ::-1] if random.random_sample() < 0.5 else window
    return window.astype(np.int32) * (236 + _below(random, 41)) >> 8


def _far_side(random, height: int, width: int) -> np.ndarray:
    """The pixels beyond a wavy border through the middle of the scene, bool "h w"."""
    cosine, sine = rotation(_between(random, -1, 1))
    offset, swing, period, phase = (_between(random, *span) for span in ((-14, 14), (0, 5), (24, 60), (0, 1)))
    y, x = np.arange(height)[:, None] - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    along = (cosine * y - sine * x) / period + phase
    along = along - np.floor(along)
    return cosine * x + sine * y > offset + swing * (16 * along * (1 - along) * np.abs(1 - 2 * along) - 1)


def _choose_objects(
    random, rule: Rule, plan: Plan, grounds: tuple[str, ...], size: tuple[int, int]
) -> list[tuple[str, str, float, float, float]]:
    """Name, tint, centre x, centre y and long side (pixels) of each object; one that finds no room is left out."""
    tints = {name: rule.tints(name, plan.tints) for name in plan.objects}
    names = [name for name in plan.objects if tints[name] and rule.allows(name, grounds)]
    if not names:
        raise ValueError(
            f'No object of {plan.objects} may wear one of {plan.tints} on {grounds} in a scene with {rule.value}.'
        )
    number = min(_weighted(random, plan.object_counts), len(names))
    chosen: list[tuple[str, str, float, float, float]] = []
    for _ in range(number):
        name = names.pop(_below(random, len(names)))
        side = spec.SHORT_SIDE * _between(random, *spec.LONG_SIDE[number])
        place = _free_place(random, size, side, chosen)
        if place:
            chosen.append((name, _pick(random, tints[name]), *place, side))
    return chosen


def _free_place(random, size: tuple[int, int], side: float, others, tries: int = 20):
    """A centre at which the object stays nearly inside the image and hardly overlaps those already there, or None."""
    for _ in range(tries):
        x, y = (_between(random, 0.45 * side, most - 0.45 * side) for most in size[::-1])
        distances = [
            ((x - u) * (x - u) + (y - v) * (y - v), 0.45 * (side + other)) for _, _, u, v, other in others
        ]
        if all(square >= reach * reach for square, reach in distances):
            return x, y
    return None


def _draw_object(random, pool, canvas, mask, name, tint, centre_x, centre_y, side) -> tuple[str, str]:
    """Paint one object over the canvas (int32 "h w 3") and the mask, in place; returns (name, tint)."""
    turn, flip, zoom, shift_u, shift_v = random.random_sample(5)
    pattern = _pick(random, pattern_maps(pool, name))
    cosine, sine = rotation(0.2 * (2 * turn - 1))
    reach = 0.75 * side
    top, bottom = _span(centre_y, reach, mask.shape[0])
    left, right = _span(centre_x, reach, mask.shape[1])
    y, x = np.arange(top, bottom)[:, None] - centre_y, np.arange(left, right) - centre_x
    u, v = (x * cosine - y * sine) * (1 if flip < 0.5 else -1), x * sine + y * cosine
    column, row = (np.floor((w / side + 0.5) * TABLE).astype(np.intp) for w in (u, v))
    valid = (column >= 0) & (column < TABLE) & (row >= 0) & (row < TABLE)
    cell = row.clip(0, TABLE - 1), column.clip(0, TABLE - 1)
    inside = valid & silhouette(name)[cell]
    u, v = u[inside], v[inside]
    zoom, middle = 0.85 + 0.3 * zoom, spec.MAP_SIZE / 2 - 15
    tone = pattern[np.floor(v * zoom + middle + 30 * shift_v).astype(np.intp),
                   np.floor(u * zoom + middle + 30 * shift_u).astype(np.intp)].astype(np.int32)[:, None]  # fmt: skip
    light = np.floor(256 - 60 * v / side).astype(np.int32)
    light[~core(name)[cell][inside]] = RIM_LIGHT
    colour = _jitter(random, spec.TINTS[tint], spec.TINT_JITTER)
    body = np.clip(colour + np.array(spec.STEPS[name], np.int32) * tone // 255, 0, 255)
    canvas[top:bottom, left:right][inside] = body * light[:, None] >> 8
    mask[top:bottom, left:right][inside] = spec.CLASSES.index(name)
    return name, tint


def _span(centre: float, reach: float, most: int) -> tuple[int, int]:
    return max(0, int(centre - reach)), min(most, int(centre + reach) + 2)


def _jitter(random, colour: tuple[int, int, int], most: int) -> np.ndarray:
    """A colour moved by up to `most` in each channel, int32 "3"."""
    return (
        np.array(colour, np.int32)
        + np.floor((2 * most + 1) * random.random_sample(3)).astype(np.int32)
        - most
    )


def _light(random, canvas: np.ndarray) -> np.ndarray:
    noise, brightness = grain(), 225 + _below(random, 48)
    height, width = canvas.shape[:2]
    top, left = (
        _below(random, most - side + 1) for most, side in zip(noise.shape, (height, width), strict=True)
    )
    lit = (canvas * brightness >> 8) + noise[top : top + height, left : left + width, None]
    return lit.clip(0, 255).astype(np.uint8)
