"""Attention as surgeries read it: a block's q, k and v, the form of an affinity, and softmax(s p p^T) in its variants.

The affinities themselves are rows of `affinities.AFFINITIES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .methods.same_label import Feedback

SHARPNESS = 8.0  # of the ResNet variant of CLIP Surgery's released code
EVERY_TOKEN = slice(None)
PATCHES = slice(1, None)


class Projections(NamedTuple):
    """What an affinity is computed from: one block's q, k and v, and what earlier blocks left behind.

    Token 0 is the class token, where the tower has one; the patches follow row by row.

    Attributes:
        q, k, v: "b a n e"; those that no affinity at hand uses may be empty, of shape "0".
        stream: "b n d", the tokens after the block's first LayerNorm, from which q, k and v are made.
        grid: (h, w) in patches.
        attend: the attention to compute A v with: torch's fused one, which never holds A, or `plain_attention`.
        traces: by name, what the earlier blocks left behind of what an affinity `needs` (see `traces.TRACES`).
        constants: the surgery's numbers.
        number: of the block, counted from 1.
        feedback: what a second reading adds to the logits; None: this is the first.
        before: how many tokens stand before the patches: 1, the class token, or 0.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    stream: Tensor
    grid: tuple[int, int]
    attend: Callable[..., Tensor] = F.scaled_dot_product_attention
    traces: Mapping[str, Tensor] = MappingProxyType({})
    constants: Mapping[str, Any] = MappingProxyType({})
    number: int = 1
    feedback: Feedback | None = None
    before: int = 1

    @property
    def patches(self) -> slice:
        """Where the patches stand among the tokens."""
        return slice(self.before, None)


Rule = Callable[[Projections, slice], Tensor]


@dataclass(frozen=True)
class Affinity:
    """One affinity.

    Args:
        uses: which of q, k and v it is computed from, such as 'qk'; v, which A is applied to, need not be named.
        attend: (projections, rows) -> A v at those tokens, "b a r e". None: the product of `weights` and v.
        weights: (projections, rows) -> A at those tokens, "b a r n", columns over all tokens. None: the affinity
            can't be drawn as a map.
        needs: names of `traces.TRACES`: what earlier blocks must leave behind in `Projections.traces`.
        constants: names of the surgery's constants that it reads.
        takes_feedback: whether it reads `Projections.feedback`.
        grid: (projections) -> (h, w) of the tokens it gives; None: the grid of those it reads.
        sharpened: (projections) -> A v at the patches, "b a n-1 e", in the sharper form of CLIP's ResNets
            (`CLIPSurgeryResNet(variant='paper')`); None: there is no such form.

    Raises:
        ValueError: `uses` names something else, or neither `attend` nor `weights` is given.
    """

    uses: str
    attend: Rule | None = None
    weights: Rule | None = None
    needs: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    takes_feedback: bool = False
    grid: Callable[[Projections], tuple[int, int]] | None = None
    sharpened: Callable[[Projections], Tensor] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.uses, str) or not set(self.uses) <= set('qkv'):
            raise ValueError(f"an affinity uses some of 'q', 'k' and 'v', such as 'qk', got {self.uses!r}")
        if self.attend is None and self.weights is None:
            raise ValueError('an affinity needs attend (A v) or weights (A), got neither')
        if isinstance(self.needs, str):
            raise ValueError(
                f'needs is a tuple of names, got the string {self.needs!r}; write ({self.needs!r},)'
            )

    def new_tokens(self, p: Projections, rows: slice) -> Tensor:
        """A v at the given rows, "b a r e"."""
        if self.attend is not None:
            return self.attend(p, rows)
        assert self.weights is not None
        return self.weights(p, rows) @ p.v

    def checked_tokens(self, name: str, p: Projections, rows: slice) -> Tensor:
        """As `new_tokens`, for a row of a user's own: from what it declares alone, whatever else is at hand.

        Raises:
            ValueError: it fails, or gives another shape; the sentence has its name.
        """
        undeclared = {part: p.v.new_empty(0) for part in 'qk' if part not in self.uses}
        try:
            found = self.new_tokens(p._replace(**undeclared), rows)
        except (AttributeError, IndexError, TypeError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise ValueError(
                f'the affinity {name!r} fails with {type(error).__name__}: {error}; it takes (projections, rows), and '
                f'its uses, {self.uses!r}, must name all of q and k that it reads'
            ) from error
        wanted = tuple(p.v[:, :, rows].shape)
        if self.grid is None and tuple(found.shape) != wanted:
            raise ValueError(
                f'the affinity {name!r} gives tokens of shape {tuple(found.shape)}, expected {wanted}: images, heads, '
                'the given rows of tokens, head width'
            )
        return found


def plain_attention(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(scale q k^T + mask) v with A as a whole, which rounds as the published codes do."""
    logits = (q @ k.mT) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return (logits if attn_mask is None else logits + attn_mask).softmax(dim=-1) @ v


def softmax_weights(
    query: Tensor, key: Tensor, rows: slice, scale: Tensor | float | None = None, bias: Tensor | None = None
) -> Tensor:
    """softmax(scale q k^T + bias) at the given rows: q, k "b a n e" -> "b a r n"; scale: head width^-0.5 by default."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    logits = scale * query[:, :, rows] @ key.mT
    return (logits if bias is None else logits + bias).softmax(dim=-1)


def self_attention(p: Projections, vectors: Tensor, rows: slice, bias: Tensor | None = None) -> Tensor:
    """softmax(s u u^T + bias) v at the given rows, for u "b a n e" one of q, k, v. bias "r n" -> "b a r e"."""
    if p.feedback is None:
        return p.attend(vectors[:, :, rows], vectors, p.v, attn_mask=bias)
    scale, mask = feedback_terms(p.feedback, vectors, rows, bias)
    return p.attend(vectors[:, :, rows], vectors, p.v, attn_mask=mask, scale=scale)


def self_weights(p: Projections, vectors: Tensor, rows: slice, bias: Tensor | None = None) -> Tensor:
    """softmax(s u u^T + bias) at the given rows, "b a r n"."""
    if p.feedback is None:
        return softmax_weights(vectors, vectors, rows, bias=bias)
    scale, mask = feedback_terms(p.feedback, vectors, rows, bias)
    return softmax_weights(vectors, vectors, rows, scale, mask)


def feedback_terms(
    feedback: Feedback, vectors: Tensor, rows: slice, bias: Tensor | None
) -> tuple[float, Tensor]:
    """Scale and mask "b 1 r n" of softmax(t ((1 - l) s u u^T + B) + bias)."""
    scale = feedback.scale * (1 - feedback.share) * vectors.shape[-1] ** -0.5
    mask = (feedback.scale * feedback.bias[:, None, rows]).to(vectors.dtype)
    return scale, mask if bias is None else mask + bias


def sharpened_attention(vectors: Tensor, v: Tensor) -> Tensor:
    """softmax(8 s u u^T) v, u = p / (|p| + 1e-6), for the patches' queries: p, v "b a n e" -> "b a n-1 e"."""
    unit = vectors / (vectors.norm(dim=-1, keepdim=True) + 1e-6)
    return plain_attention(unit[:, :, 1:], unit, v, scale=SHARPNESS * vectors.shape[-1] ** -0.5)
