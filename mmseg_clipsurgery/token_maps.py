"""Token maps: what is done to patch tokens before and after the last block's attention reads them.

    mend_...     outliers become the mean of their neighbours                  (`methods.outliers`)
    gather_...   every patch becomes a mean of those that are like it          (`methods.cosine_maps`)
    class_share  x + class_share c, c the class token of what is read

`PATH_STEPS` holds what a surgery may do to CLIP's own path after every block (`Surgery.each_block`): the only thing
in this package that changes it. Both tables are open.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .environment.extensions import open_table
from .methods.cosine_maps import gathered
from .methods.outliers import repaired
from .methods.quietened import quietened
from .surgery_constants import VIT_B16_SINKS, VIT_B16_WIDTH
from .traces import Context

Grid = tuple[int, int]


@dataclass(frozen=True)
class TokenMap:
    """One token map.

    Args:
        apply: (patches "b n d", class token "b 1 d", context) -> "b n d".
        needs: names of `traces.TRACES`, found in the context.
        constants: names of the surgery's constants that it reads.
        class_token: whether it looks at the class token, which some towers do not have.
    """

    apply: Callable[[Tensor, Tensor, Context], Tensor]
    needs: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    class_token: bool = False


@dataclass(frozen=True)
class PathStep:
    """What is done to CLIP's own patches after every block.

    Args:
        apply: (patches "b n d", (h, w), constants) -> "b n d".
        constants: names of the surgery's constants that it reads.
        misfit: (constants, the tower's width) -> why they do not fit together, in a clause; None: they do.
    """

    apply: Callable[[Tensor, Grid, Mapping[str, Any]], Tensor]
    constants: tuple[str, ...] = ()
    misfit: Callable[[Mapping[str, Any], int], str | None] = lambda constants, width: None
    needs: tuple[str, ...] = ()


def mend(outliers: str, keep_lone: bool) -> TokenMap:
    """Repair of the outliers that a trace tells."""
    return TokenMap(
        lambda patches, first, context: repaired(patches, context.traces[outliers], context.grid, keep_lone),
        needs=(outliers,),
    )


def gather(similarity: str) -> TokenMap:
    """Means over those that a trace's map tells to be alike."""
    return TokenMap(
        lambda patches, first, context: gathered(
            patches, context.traces[similarity], context.constants['floor']
        ),
        needs=(similarity,),
        constants=('floor',),
    )


def sinks_misfit(constants: Mapping[str, Any], width: int) -> str | None:
    """Sink channels are those of one tower: the released ones of a ViT-B/16."""
    if max(constants['sinks']) >= width:
        return f'its sink channels go up to {max(constants["sinks"])}, the tower has {width}'
    if constants['sinks'] == VIT_B16_SINKS and width != VIT_B16_WIDTH:
        return f"its sink channels are ViT-B/16's, of width {VIT_B16_WIDTH}, the tower has width {width}"
    return None


# Name -> token map.
TOKEN_MAPS: dict[str, TokenMap] = {
    'mend_local': mend('local_outliers', keep_lone=True),
    'mend_class': mend('class_outliers', keep_lone=False),
    'gather_mid': gather('mid_map'),
    'gather_mid_cut': gather('mid_cut_map'),
    'gather_early': gather('early_map'),
    'sum_mean': TokenMap(
        lambda patches, first, context: context.traces['mean_map'] @ patches, needs=('mean_map',)
    ),
    'class_share': TokenMap(
        lambda patches, first, context: torch.add(patches, first, alpha=context.constants['class_share']),
        constants=('class_share',),
        class_token=True,
    ),
}

# Name -> step.
PATH_STEPS: dict[str, PathStep] = {
    'quieten': PathStep(
        lambda patches, grid, constants: quietened(
            patches, grid, constants['sinks'], constants['sink_ratio'], constants['moved']
        ),
        constants=('sinks', 'sink_ratio', 'moved'),
        misfit=sinks_misfit,
    ),
}
open_table('map of tokens', TOKEN_MAPS)
open_table('step of each block', PATH_STEPS)
