"""Traces: what is known of an image before the last block is read, beside the tokens that enter it.

    updated    from block to block of CLIP's own path: tokens of a middle block, sums over blocks, mean attention maps
    derived    once, as the last block is reached, from other traces
    given      by the caller: features of a second tower (`guide`)

Affinities and token maps name the traces that they need; what those need is found here, and nothing else is kept.
Traces of surgeries with equal constants are one trace. The table is open: `TRACES['mine'] = Trace(update=...)`.

Numbers of blocks, counted from 1, are constants of a surgery; they belong to towers of `depth` blocks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from .attention import EVERY_TOKEN, PATCHES, Projections, softmax_weights
from .environment.extensions import open_table
from .methods.cosine_maps import cosines, cut, sharpened
from .methods.outliers import class_outliers, local_outliers, repaired

Traces = Mapping[str, Tensor]


class BlockView(NamedTuple):
    """What a trace sees of a block of CLIP's own path.

    Attributes:
        number: of the block, counted from 1.
        entering: "b n d", the tokens as they enter the block.
        projections: q, k and v of the block, all three.
        leaving: "b n d", the tokens as they leave it.
        constants: of the surgery.
    """

    number: int
    entering: Tensor
    projections: Projections
    leaving: Tensor
    constants: Mapping[str, Any]


class Context(NamedTuple):
    """What is known as the last block is read.

    Attributes:
        entering: "b n d", CLIP's own tokens as they enter it, class token first.
        grid: (h, w) in patches.
        constants: of the surgery.
        traces: by name; where one is derived, those that it needs.
        rows: where the patches stand among the tokens.
    """

    entering: Tensor
    grid: tuple[int, int]
    constants: Mapping[str, Any]
    traces: Traces
    rows: slice = PATCHES

    @property
    def patches(self) -> Tensor:
        """The patches among the tokens that enter, "b h*w d"."""
        return self.entering[:, self.rows]


@dataclass(frozen=True)
class Trace:
    """One trace; of `update` and `derive` one at most, and neither where the caller gives it.

    Args:
        update: (what was kept so far, or None; the block) -> what is kept from here on, or None; called after
            every block but the last, in order.
        derive: (context) -> the trace; called once.
        needs: names of `TRACES` that `derive` reads.
        constants: names of the surgery's constants that it reads.
        blocks: those among them that are numbers of blocks, or (first, last) of several.
        last: `update` is called after the last block too, for which CLIP's own path is walked to its end.
        class_token: whether it looks at the class token, which some towers do not have.
    """

    update: Callable[[Tensor | None, BlockView], Tensor | None] | None = None
    derive: Callable[[Context], Tensor] | None = None
    needs: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    last: bool = False
    class_token: bool = False


def kept_at(constant: str, keep: Callable[[BlockView], Tensor]) -> Callable:
    """An update that keeps something of the one block whose number a constant says."""

    def update(kept: Tensor | None, view: BlockView) -> Tensor | None:
        return keep(view) if view.number == view.constants[constant] else kept

    return update


def level_sum(kept: Tensor | None, view: BlockView) -> Tensor | None:
    """Sum of the tokens after the blocks of `levels`."""
    first, last = view.constants['levels']
    if not first <= view.number <= last:
        return kept
    return view.leaving if kept is None else kept + view.leaving


def running_mean(kept: Tensor | None, view: BlockView) -> Tensor:
    """Mean of the tokens after all blocks so far."""
    return view.leaving if kept is None else kept + (view.leaving - kept) / view.number


def cross_mean(kept: Tensor | None, view: BlockView) -> Tensor | None:
    """Mean of CLIP's own attention maps of the blocks `cross_blocks`, per head: "b a n n"."""
    first, last = view.constants['cross_blocks']
    if not first <= view.number <= last:
        return kept
    weights = softmax_weights(view.projections.q, view.projections.k, EVERY_TOKEN) / (last - first + 1)
    return weights if kept is None else kept + weights


def kk_sum(kept: Tensor | None, view: BlockView) -> Tensor:
    """Sum of softmax(s k k^T) of all blocks so far, per head: "b a n n"."""
    weights = softmax_weights(view.projections.k, view.projections.k, EVERY_TOKEN)
    return weights if kept is None else kept + weights


def outliers_of_class_attention(view: BlockView) -> Tensor:
    """Outliers by the class token's attention in one block, mean over heads: "b n", bool."""
    attention = softmax_weights(view.projections.q, view.projections.k, EVERY_TOKEN).mean(dim=1)
    own = attention.diagonal(dim1=1, dim2=2)[:, PATCHES]
    return class_outliers(
        attention[:, 0, PATCHES], own, view.constants['class_gain'], view.constants['most_outliers']
    )


# Name -> trace. Own ones are added under names that are free; `needs` of affinities and token maps name them.
TRACES: dict[str, Trace] = {
    'guide': Trace(),
    'levels': Trace(level_sum, constants=('levels',), blocks=('levels',)),
    'mean': Trace(running_mean, last=True),
    'middle': Trace(
        kept_at('middle_block', lambda view: view.leaving[:, view.projections.patches]),
        constants=('middle_block',),
        blocks=('middle_block',),
    ),
    'early_map': Trace(
        kept_at('early_block', lambda view: cosines(view.leaving[:, view.projections.patches])),
        constants=('early_block',),
        blocks=('early_block',),
    ),
    'cross': Trace(cross_mean, constants=('cross_blocks',), blocks=('cross_blocks',)),
    'kk_sum': Trace(kk_sum),
    'local_outliers': Trace(
        derive=lambda context: local_outliers(
            context.patches, context.constants['neighbours'], context.constants['outlier_share']
        ),
        constants=('neighbours', 'outlier_share'),
    ),
    'class_outliers': Trace(
        kept_at('class_block', outliers_of_class_attention),
        constants=('class_block', 'class_gain', 'most_outliers'),
        blocks=('class_block',),
        class_token=True,
    ),
    'mid_map': Trace(
        derive=lambda context: cosines(
            repaired(context.traces['middle'], context.traces['local_outliers'], context.grid, keep_lone=True)
        ),
        needs=('middle', 'local_outliers'),
    ),
    'mid_attention': Trace(
        derive=lambda context: sharpened(
            context.traces['mid_map'], context.constants['mid_gain'], context.constants['mid_share']
        ),
        needs=('mid_map',),
        constants=('mid_gain', 'mid_share'),
    ),
    'mid_cut_map': Trace(
        derive=lambda context: cut(
            cosines(
                repaired(
                    context.traces['middle'], context.traces['class_outliers'], context.grid, keep_lone=False
                )
            ),
            context.constants['floor'],
        ),
        needs=('middle', 'class_outliers'),
        constants=('floor',),
    ),
    'mid_cut_attention': Trace(
        derive=lambda context: sharpened(
            context.traces['mid_cut_map'], context.constants['mid_gain'], context.constants['mid_share']
        ),
        needs=('mid_cut_map',),
        constants=('mid_gain', 'mid_share'),
    ),
    'mean_map': Trace(
        derive=lambda context: cut(
            cosines(context.traces['mean'][:, context.rows]), context.constants['floor']
        ),
        needs=('mean',),
        constants=('floor',),
    ),
    'guide_attention': Trace(
        derive=lambda context: sharpened(
            cosines(context.traces['guide'].flatten(2).mT),
            context.constants['guide_gain'],
            context.constants['guide_share'],
        ),
        needs=('guide',),
        constants=('guide_gain', 'guide_share'),
    ),
}
open_table('trace', TRACES)
