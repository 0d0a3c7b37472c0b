"""Rows of the tables by what they ask of a tower, and the newer rows with constants for small towers."""

import dataclasses

from mmseg_clipsurgery.affinities import AFFINITIES
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

# What every tower can be read by: nothing is needed of earlier blocks.
ANY_TOWER = [name for name, row in SURGERIES.items() if not row.traces() and row.each_block is None]
NEWER = [name for name in SURGERIES if name not in ANY_TOWER]
BLOCK_AFFINITIES = [name for name, row in AFFINITIES.items() if not row.needs]


def fitted(name: str, depth: int = 6, **changes) -> Surgery:
    """A row with constants for a tower of another depth, of at least 5 blocks, at least 16 wide, on at least 7 patches.

    Args:
        name: of `SURGERIES`.
        depth: number of blocks.
        changes: constants in place of those.
    """
    row = SURGERIES[name]
    own = {
        'depth': depth,
        'early_block': 2,
        'middle_block': depth - 2,
        'levels': (2, depth - 2),
        'class_block': depth - 1,
        'cross_blocks': (depth - 3, depth - 2),
        'neighbours': 6,
        'outlier_share': 0.2,
        'most_outliers': 3,
        'sinks': (1, 5, 11),
        'sink_ratio': 1.8,
        **changes,
    }
    kept = {key: value for key, value in own.items() if key in row.constants}
    return dataclasses.replace(row, constants={**row.constants, **kept})
