"""Texture maps: the body patterns of the objects and the ground textures, as uint8 arrays.

Only additions, multiplications, divisions, square roots and roundings are used (rotations come from the half-angle
tangent, c = (1 - t^2) / (1 + t^2), s = 2 t / (1 + t^2)), because IEEE arithmetic gives the same bits for them
everywhere; sines, exponentials, long sums and matrix products are not used, since their last bits depend on the
machine. Random numbers are `RandomState.random_sample` only, a stream that numpy has frozen.
"""

from functools import cache

import numpy as np

from . import spec


@cache
def pattern_maps(pool: str, name: str) -> tuple[np.ndarray, ...]:
    """Body patterns of an object class: uint8 maps "h w", 0 where the tint shows and 255 where the ink does."""
    draw = _PATTERNS[spec.PATTERNS[name]]
    return tuple(_to_bytes(draw(random, *_coordinates(random, 0.8, 0.10))) for random in _streams(pool, name))


@cache
def ground_maps(pool: str, name: str) -> tuple[np.ndarray, ...]:
    """Ground textures of a class: uint8 RGB maps "h w 3"."""
    maps = []
    for random in _streams(pool, name):
        tone = _GROUNDS[name](random, *_coordinates(random, 0.8, 0.12))[..., None]
        dark, light = (
            np.array(colour) + 24 * (random.random_sample(3) - 0.5) for colour in spec.GROUND_COLOURS[name]
        )
        maps.append(_to_bytes((dark + (light - dark) * np.clip(tone, 0, 1)) / 255))
    return tuple(maps)


@cache
def grain() -> np.ndarray:
    """Fine sensor-like noise, int32 "h w", -6..6; a scene shows a window of it."""
    random = np.random.RandomState([spec.VERSION, 999])
    return np.floor(13 * random.random_sample((256, 256))).astype(np.int32) - 6


def rotation(half_tangent: float) -> tuple[float, float]:
    """Cosine and sine of the angle whose half has this tangent."""
    square = half_tangent * half_tangent
    return (1 - square) / (1 + square), 2 * half_tangent / (1 + square)


def _streams(pool: str, name: str) -> list[np.random.RandomState]:
    number = list(spec.POOLS).index(pool)
    label = spec.CLASSES.index(name)
    return [np.random.RandomState([spec.VERSION, 100 + number, label, k]) for k in range(spec.POOLS[pool])]


def _coordinates(random, smallest: float, half_tangent: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates (x, y) of a map, each "h w", turned by a random angle and scaled by a random factor.

    Args:
        random: a RandomState.
        smallest: factor; the largest is its inverse.
        half_tangent: tangent of half the largest angle.
    """
    turn, scale, shift_u, shift_v = random.random_sample(4)
    cosine, sine = rotation(half_tangent * (2 * turn - 1))
    zoom = smallest + (1 / smallest - smallest) * scale
    y, x = np.mgrid[: spec.MAP_SIZE, : spec.MAP_SIZE] * 1.0
    return (x * cosine - y * sine) * zoom + 64 * shift_u, (x * sine + y * cosine) * zoom + 64 * shift_v


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.floor(255 * np.clip(values, 0, 1) + 0.5).astype(np.uint8)


def _noise(random, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Smooth value noise in [0, 1) over coordinates in cells."""
    u, v = u - u.min(), v - v.min()
    column, row = np.floor(u).astype(np.intp), np.floor(v).astype(np.intp)
    lattice = random.random_sample((row.max() + 2, column.max() + 2))
    right, down = u - column, v - row
    right, down = right * right * (3 - 2 * right), down * down * (3 - 2 * down)
    top = lattice[row, column] * (1 - right) + lattice[row, column + 1] * right
    bottom = lattice[row + 1, column] * (1 - right) + lattice[row + 1, column + 1] * right
    return top * (1 - down) + bottom * down


def _nearest_points(random, u, v, cell: float, jitter: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances to the nearest and second nearest point of a jittered square lattice, and the nearest one's number."""
    u, v = (u - u.min()) / cell, (v - v.min()) / cell
    column, row = np.floor(u).astype(np.intp) + 1, np.floor(v).astype(np.intp) + 1
    place = 0.5 + jitter * (random.random_sample((2, row.max() + 2, column.max() + 2)) - 0.5)
    tone = random.random_sample(place.shape[1:])
    first = np.full(u.shape, 1e9)
    second, shade = first.copy(), first.copy()
    for step_v in (-1, 0, 1):
        for step_u in (-1, 0, 1):
            j, i = row + step_v, column + step_u
            du, dv = u - (i - 1 + place[0, j, i]), v - (j - 1 + place[1, j, i])
            distance = np.sqrt(du * du + dv * dv)
            closer = distance < first
            second = np.where(closer, first, np.minimum(second, distance))
            shade = np.where(closer, tone[j, i], shade)
            first = np.where(closer, distance, first)
    return first, second, shade


def _edge(distance: np.ndarray, softness: float) -> np.ndarray:
    """1 where the distance is well above zero, 0 well below, a ramp between."""
    return np.clip(distance / softness + 0.5, 0, 1)


def _wave(phase: np.ndarray) -> np.ndarray:
    """Triangle wave of period 1 between 0 and 1."""
    return np.abs(2 * (phase - np.floor(phase)) - 1)


def _warp(random, u, v, cell: float, pixels: float) -> tuple[np.ndarray, np.ndarray]:
    shift_u, shift_v = _noise(random, u / cell, v / cell), _noise(random, u / cell, v / cell)
    return u + pixels * (2 * shift_u - 1), v + pixels * (2 * shift_v - 1)


def _scales(random, u, v):
    u, v = _warp(random, u, v, 20, 1.0)
    row = np.floor(v / 4.5)
    du = np.mod(u + 4.5 * np.mod(row, 2), 9) - 4.5
    dv = v - 4.5 * row
    return _edge(np.sqrt(du * du + dv * dv) - 3.9, 1.0)


def _bricks(random, u, v):
    u, v = _warp(random, u, v, 24, 0.7)
    row = np.floor(v / 5.5)
    bed = np.mod(v, 5.5) - 1.6
    joint = np.mod(u + 5.5 * np.mod(row, 2), 11) - 1.9
    return 1 - _edge(np.minimum(bed, joint), 0.8)


def _dots(random, u, v):
    nearest, _, _ = _nearest_points(random, u, v, 7.0, 0.35)
    return 1 - _edge(7.0 * nearest - 2.5, 1.0)


def _blobs(random, u, v):
    tone = 0.65 * _noise(random, u / 5, v / 5) + 0.35 * _noise(random, u / 2.5, v / 2.5)
    return _edge(tone - 0.5, 0.15)


def _bands(random, u, v):
    u, v = _warp(random, u, v, 16, 3.0)
    return _edge(_wave(u / 8.5) - 0.5, 0.25)


def _honeycomb(random, u, v):
    u, v = _warp(random, u, v, 24, 0.6)
    width, height = 8.0, 8.0 * 1.7320508
    odd_u, odd_v = np.mod(u, width) - width / 2, np.mod(v, height) - height / 2
    even_u, even_v = np.mod(u + width / 2, width) - width / 2, np.mod(v + height / 2, height) - height / 2
    odd = odd_u * odd_u + odd_v * odd_v < even_u * even_u + even_v * even_v
    du, dv = np.abs(np.where(odd, odd_u, even_u)), np.abs(np.where(odd, odd_v, even_v))
    return 1 - _edge(width / 2 - np.maximum(du, 0.5 * du + 0.8660254 * dv) - 1.2, 0.8)


def _chevrons(random, u, v):
    u, v = _warp(random, u, v, 24, 0.8)
    return _edge(_wave(v / 7.5 + 0.8 * _wave(u / 11)) - 0.5, 0.25)


def _lines(random, u, v):
    u, v = _warp(random, u, v, 40, 0.5)
    return _edge(_wave(v / 4.2) - 0.55, 0.3)


def _grass(random, u, v):
    blades = _noise(random, u / 1.6, v / 6) * 0.7 + _noise(random, u / 3, v / 9) * 0.3
    return 0.25 * _noise(random, u / 30, v / 30) + 1.5 * (blades - 0.5) + 0.4


def _sand(random, u, v):
    u, v = _warp(random, u, v, 30, 5)
    return (
        0.35 * _wave(v / 14) + 0.4 * _noise(random, u / 1.3, v / 1.3) + 0.25 * _noise(random, u / 25, v / 25)
    )


def _water(random, u, v):
    u, v = _warp(random, u, v, 18, 2)
    crest = 1 - np.abs(2 * _noise(random, u / 11, v / 3.5) - 1)
    return 0.9 * crest * crest + 0.3 * _noise(random, u / 30, v / 12) - 0.15


def _snow(random, u, v):
    sparkle = _edge(_noise(random, u / 1.5, v / 1.5) - 0.85, 0.1)
    return (
        0.35
        + 0.7 * (_noise(random, u / 22, v / 14) - 0.2)
        + 0.15 * _noise(random, u / 5, v / 5)
        + 0.3 * sparkle
    )


def _gravel(random, u, v):
    first, second, shade = _nearest_points(random, u, v, 5.5, 0.9)
    return (0.25 + 0.75 * shade) * _edge(second - first - 0.16, 0.25)


def _wood(random, u, v):
    plank = np.floor(v / 17)
    grains = _noise(random, (u + 37 * plank) / 26, v / 1.8) * 0.6 + _noise(random, u / 50, v / 4) * 0.4
    return (0.15 + 0.8 * grains + 0.12 * np.mod(plank * 0.618, 1)) * _edge(np.mod(v, 17) - 0.9, 0.8)


_PATTERNS = {
    'scales': _scales,
    'bricks': _bricks,
    'dots': _dots,
    'blobs': _blobs,
    'bands': _bands,
    'honeycomb': _honeycomb,
    'chevrons': _chevrons,
    'lines': _lines,
}

_GROUNDS = {'grass': _grass, 'sand': _sand, 'water': _water, 'snow': _snow, 'gravel': _gravel, 'wood': _wood}
