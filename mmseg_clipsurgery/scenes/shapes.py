"""Silhouettes of the objects as unions of ellipses and polygons in a box from -1 to 1, x right, y down.

A silhouette is sampled once into a table; a scene looks its pixels up there (nearest cell).
"""

import itertools
from functools import cache

import numpy as np

from . import spec

TABLE = 128  # cells a side

# ('ellipse', x, y, radius_x, radius_y) or ('polygon', (x, y), ...)
SILHOUETTES = {
    'fish': (
        ('ellipse', -0.22, 0.0, 0.76, 0.58),
        ('polygon', (0.25, 0.0), (0.98, -0.5), (0.82, 0.0), (0.98, 0.5)),
        ('polygon', (-0.35, -0.4), (0.18, -0.8), (0.22, -0.3)),
    ),
    'house': (
        ('polygon', (-0.78, -0.12), (0.78, -0.12), (0.78, 0.92), (-0.78, 0.92)),
        ('polygon', (0.0, -0.95), (0.98, -0.1), (-0.98, -0.1)),
        ('polygon', (0.4, -0.85), (0.64, -0.85), (0.64, -0.2), (0.4, -0.2)),
    ),
    'ladybird': (('ellipse', 0.1, 0.0, 0.86, 0.78), ('ellipse', -0.72, 0.0, 0.26, 0.36)),
    'tree': (
        ('ellipse', 0.0, -0.5, 0.55, 0.48),
        ('ellipse', -0.42, 0.05, 0.5, 0.45),
        ('ellipse', 0.42, 0.05, 0.5, 0.45),
        ('polygon', (-0.2, 0.2), (0.2, 0.2), (0.24, 0.98), (-0.24, 0.98)),
    ),
    'zebra': (
        ('ellipse', 0.1, -0.02, 0.8, 0.5),
        ('polygon', (-0.62, 0.0), (-0.26, 0.0), (-0.26, 0.94), (-0.62, 0.94)),
        ('polygon', (0.42, 0.0), (0.78, 0.0), (0.78, 0.94), (0.42, 0.94)),
        ('polygon', (-0.92, -0.94), (-0.5, -0.94), (-0.1, -0.3), (-0.6, 0.2)),
        ('ellipse', -0.76, -0.66, 0.23, 0.27),
    ),
    'hive': (
        ('ellipse', 0.0, -0.62, 0.48, 0.34),
        ('ellipse', 0.0, -0.15, 0.74, 0.38),
        ('ellipse', 0.0, 0.4, 0.86, 0.44),
        ('polygon', (-0.7, 0.4), (0.7, 0.4), (0.62, 0.92), (-0.62, 0.92)),
    ),
    'sock': (
        ('polygon', (-0.62, -0.96), (0.14, -0.96), (0.1, 0.5), (-0.66, 0.5)),
        ('ellipse', -0.28, 0.5, 0.4, 0.44),
        ('polygon', (-0.3, 0.1), (0.1, 0.1), (0.7, 0.3), (0.7, 0.94), (-0.3, 0.94)),
        ('ellipse', 0.64, 0.62, 0.34, 0.32),
    ),
    'car': (
        ('polygon', (-0.96, -0.08), (0.96, -0.08), (0.98, 0.48), (-0.98, 0.48)),
        ('polygon', (-0.52, -0.66), (0.42, -0.66), (0.74, 0.0), (-0.74, 0.0)),
        ('ellipse', -0.54, 0.46, 0.27, 0.27),
        ('ellipse', 0.54, 0.46, 0.27, 0.27),
    ),
}


@cache
def silhouette(name: str) -> np.ndarray:
    """The inside of an object class: bool "TABLE TABLE", row 0 at the top."""
    y, x = (np.mgrid[:TABLE, :TABLE] + 0.5) / (TABLE / 2) - 1
    inside = np.zeros((TABLE, TABLE), bool)
    for kind, *numbers in SILHOUETTES[name]:
        inside |= _ellipse(x, y, *numbers) if kind == 'ellipse' else _polygon(x, y, numbers)
    return inside


@cache
def core(name: str) -> np.ndarray:
    """The inside without the rim: bool "TABLE TABLE"; cells further than the rim's width from the outside."""
    width = round(spec.RIM * TABLE)
    inside = np.pad(silhouette(name), width)
    for _ in range(width):
        inside = (
            inside
            & _shifted(inside, 1, 0)
            & _shifted(inside, -1, 0)
            & _shifted(inside, 0, 1)
            & _shifted(inside, 0, -1)
        )
    return inside[width:-width, width:-width]


def _shifted(cells, down: int, right: int):
    return np.roll(cells, (down, right), (0, 1))


def _ellipse(x, y, centre_x, centre_y, radius_x, radius_y):
    across, down = (x - centre_x) / radius_x, (y - centre_y) / radius_y
    return across * across + down * down <= 1


def _polygon(x, y, corners):
    """Even-odd rule over the edges, so that polygons need not be convex."""
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in itertools.pairwise([*corners, corners[0]]):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside
