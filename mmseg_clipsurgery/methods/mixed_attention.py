"""Attention mixed with maps: what newer methods read the last block by.

    mixed_with_map   mean of a map over patches and softmax(s u u^T) for some u, as if there were no class token
    mean_attention   mean over all blocks of softmax(s k k^T), the class token's row and column then 0
    guide_attention  a second tower's map on its own grid, v stretched to it
    crossed          gain ((1 - share) A_base + share C), C the mean of CLIP's own attention of some blocks

Sources: SC-CLIP and SFP, RF-CLIP, ProxyCLIP, ResCLIP (RCS), in this order; see `surgery`.
"""

import torch.nn.functional as F
from torch import Tensor

from ..attention import (
    EVERY_TOKEN,
    Affinity,
    Projections,
    self_attention,
    self_weights,
    softmax_weights,
)


def with_class_row(patches: Tensor, rows: slice, p: Projections) -> Tensor:
    """What patches attend to, "b a h*w e", at the given rows of all tokens; nothing for the class token."""
    return patches if rows == p.patches else F.pad(patches, (0, 0, p.before, 0))[:, :, rows]


def with_class_token(weights: Tensor, rows: slice, p: Projections) -> Tensor:
    """A map over patches "b a h*w h*w" at the given rows of all tokens: "b a r n"; 0 from and to the class token."""
    return F.pad(weights, (p.before, 0, p.before, 0))[:, :, rows]


def mapped(weights: Tensor, v: Tensor) -> Tensor:
    """One map "b m n" of all heads times v "b a n e" -> "b a m e"."""
    return (weights @ v.transpose(1, 2).flatten(2)).unflatten(2, (v.shape[1], -1)).transpose(1, 2)


def patches_alone(p: Projections) -> Projections:
    """The projections without the class token; parts that are empty stay so."""
    q, k, v = (part[:, :, p.patches] if part.numel() else part for part in p[:3])
    return p._replace(q=q, k=k, v=v)


def mixed_with_map(parts: str, trace: str) -> Affinity:
    """The mean of a trace's map and softmax(s u u^T) for u in `parts`, over the patches alone."""

    def attend(p: Projections, rows: slice) -> Tensor:
        p = patches_alone(p)
        found = mapped(p.traces[trace], p.v)
        for part in parts:
            found = found + self_attention(p, getattr(p, part), EVERY_TOKEN)
        return with_class_row(found / (1 + len(parts)), rows, p)

    def weights(p: Projections, rows: slice) -> Tensor:
        p = patches_alone(p)
        found = p.traces[trace][:, None].expand(-1, p.v.shape[1], -1, -1)
        for part in parts:
            found = found + self_weights(p, getattr(p, part), EVERY_TOKEN)
        return with_class_token(found / (1 + len(parts)), rows, p)

    return Affinity(f'{parts}v', attend, weights, needs=(trace,))


def crossed(base: Affinity) -> Affinity:
    """An affinity mixed with CLIP's own attention of earlier blocks (ResCLIP's RCS)."""

    def attend(p: Projections, rows: slice) -> Tensor:
        gain, share = p.constants['cross']
        crossing = p.traces['cross'][:, :, rows] @ p.v
        return gain * ((1 - share) * base.new_tokens(p, rows) + share * crossing)

    def weights(p: Projections, rows: slice) -> Tensor:
        gain, share = p.constants['cross']
        assert base.weights is not None
        return gain * ((1 - share) * base.weights(p, rows) + share * p.traces['cross'][:, :, rows])

    return Affinity(
        base.uses, attend, weights, needs=('cross',), constants=('cross',), takes_feedback=base.takes_feedback
    )


def mean_attention(p: Projections, rows: slice) -> Tensor:
    """(softmax(s k k^T) + the same of all earlier blocks) / blocks, without the class token, times v: "b a r e"."""
    values = p.v[:, :, p.patches]
    # A value of 0 for the class token is its column left out.
    own = p.attend(p.k[:, :, p.patches], p.k, F.pad(values, (0, 0, p.before, 0)))
    earlier = p.traces['kk_sum'][:, :, p.patches, p.patches] @ values
    return with_class_row((own + earlier) / p.number, rows, p)


def mean_weights(p: Projections, rows: slice) -> Tensor:
    """The map of `mean_attention`, "b a r n"."""
    total = p.traces['kk_sum'] + softmax_weights(p.k, p.k, EVERY_TOKEN)
    return with_class_token(total[:, :, p.patches, p.patches] / p.number, rows, p)


def guide_grid(p: Projections) -> tuple[int, int]:
    """(h, w) of the second tower."""
    height, width = p.traces['guide'].shape[2:]
    return height, width


def guide_attention(p: Projections, rows: slice) -> Tensor:
    """The second tower's map times v, stretched to that tower's grid: "b a m e"; a class row as in `with_class_row`."""
    heads = p.v.shape[1]
    values = p.v[:, :, p.patches].transpose(1, 2).flatten(2).mT.unflatten(2, p.grid)
    values = F.interpolate(values, guide_grid(p), mode='bilinear', align_corners=False).flatten(2).mT
    found = (p.traces['guide_attention'].to(values.dtype) @ values).unflatten(2, (heads, -1)).transpose(1, 2)
    return with_class_row(found, rows, p)
