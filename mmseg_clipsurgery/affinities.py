"""Affinities: which tokens a new path attends to, A, and what it takes from them, A v; one row each.

With s = head width^-0.5 and rows of softmaxes over all tokens:

    identity    A = I
    qk          A = softmax(s q k^T)                                        CLIP's own attention
    qq kk vv    A = softmax(s p p^T)
    qq+kk       A = softmax(s q q^T) + softmax(s k k^T)                     rows sum to 2
    kk+gauss    A = softmax(s k k^T + g),  g_ij = exp(-(dy^2 + dx^2) / (2 * 5^2)) in patches, 0 to the class token
    gem         A = mean over p in (v, k, q) of softmax(t p' p'^T),   p' = norm(softmax(t norm(p) norm(p)^T) norm(p)),
                t = s * mean over tokens of |LN1(x)|, per image

A row is an `Affinity`: `attend` gives A v without holding A where torch's fused attention allows, `weights` gives A,
for maps of what a patch attends to. The table is open: `AFFINITIES['mine'] = Affinity('kv', weights=mine)` makes
an affinity that a `Surgery` names like the shipped ones.

Sources: CLIP Surgery (arXiv 2304.05653) section 3.2, SCLIP (2312.01597) eq. 4, NACLIP (2404.08181) section 3.3, GEM
(2312.00878) section 3.2 and its released code (the temperature).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .environment.extensions import open_table

GAUSS_STD = 5.0  # patches, NACLIP
SHARPNESS = 8.0  # of the ResNet variant of CLIP Surgery's released code


class Projections(NamedTuple):
    """What an affinity is computed from: one block's q, k and v, and what earlier blocks left behind.

    Token 0 is the class token; the patches follow row by row.

    Attributes:
        q, k, v: "b a n e"; those that no affinity at hand uses may be empty, of shape "0".
        stream: "b n d", the tokens after the block's first LayerNorm, from which q, k and v are made.
        grid: (h, w) in patches.
        attend: the attention to compute A v with: torch's fused one, which never holds A, or `plain_attention`.
        traces: by name, what the earlier blocks left behind of what an affinity `needs` (see `dual_path.TRACES`).
    """

    q: Tensor
    k: Tensor
    v: Tensor
    stream: Tensor
    grid: tuple[int, int]
    attend: Callable[..., Tensor] = F.scaled_dot_product_attention
    traces: Mapping[str, Tensor] = MappingProxyType({})


Rule = Callable[[Projections, slice], Tensor]


@dataclass(frozen=True)
class Affinity:
    """One affinity.

    Args:
        uses: which of q, k and v it is computed from, such as 'qk'; v, which A is applied to, need not be named.
        attend: (projections, rows) -> A v at those tokens, "b a r e". None: the product of `weights` and v.
        weights: (projections, rows) -> A at those tokens, "b a r n", columns over all tokens. None: the affinity
            can't be drawn as a map.
        needs: names of `dual_path.TRACES`: what earlier blocks must leave behind in `Projections.traces`.
        sharpened: (projections) -> A v at the patches, "b a n-1 e", in the sharper form of CLIP's ResNets
            (`CLIPSurgeryResNet(variant='paper')`); None: there is no such form.

    Raises:
        ValueError: `uses` names something else, or neither `attend` nor `weights` is given.
    """

    uses: str
    attend: Rule | None = None
    weights: Rule | None = None
    needs: tuple[str, ...] = ()
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


def plain_attention(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(scale q k^T + mask) v with A as a whole, which rounds as the published codes do."""
    logits = (q @ k.mT) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return (logits if attn_mask is None else logits + attn_mask).softmax(dim=-1) @ v


def softmax_weights(
    query: Tensor, key: Tensor, rows: slice, scale: Tensor | float | None = None, bias: Tensor | float = 0.0
) -> Tensor:
    """softmax(scale q k^T + bias) at the given rows: q, k "b a n e" -> "b a r n"; scale: head width^-0.5 by default."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return (scale * query[:, :, rows] @ key.mT + bias).softmax(dim=-1)


def self_attention(p: Projections, vectors: Tensor, rows: slice, bias: Tensor | None = None) -> Tensor:
    """softmax(s u u^T + bias) v at the given rows, for u "b a n e" one of q, k, v. bias "r n" -> "b a r e"."""
    return p.attend(vectors[:, :, rows], vectors, p.v, attn_mask=bias)


def sharpened_attention(vectors: Tensor, v: Tensor) -> Tensor:
    """softmax(8 s u u^T) v, u = p / (|p| + 1e-6), for the patches' queries: p, v "b a n e" -> "b a n-1 e"."""
    unit = vectors / (vectors.norm(dim=-1, keepdim=True) + 1e-6)
    return plain_attention(unit[:, :, 1:], unit, v, scale=SHARPNESS * vectors.shape[-1] ** -0.5)


def identity_weights(p: Projections, rows: slice) -> Tensor:
    """I at the given rows, "b a r n"."""
    count = p.v.shape[2]
    return torch.eye(count, device=p.v.device, dtype=p.v.dtype)[rows].expand(*p.v.shape[:2], -1, -1)


def gauss_bias(grid: tuple[int, int], like: Tensor, std: float = GAUSS_STD) -> Tensor:
    """NACLIP's neighbourhood prior over all tokens "n n": a Gaussian of patch distance, 0 for the class token."""
    height, width = grid
    dy = torch.arange(height, dtype=torch.float32, device=like.device)
    dx = torch.arange(width, dtype=torch.float32, device=like.device)
    near_y = torch.exp(-((dy[:, None] - dy) ** 2) / (2 * std**2))
    near_x = torch.exp(-((dx[:, None] - dx) ** 2) / (2 * std**2))
    near = torch.einsum('ij,kl->ikjl', near_y, near_x).reshape(height * width, height * width)
    return F.pad(near, (1, 0, 1, 0)).to(like.dtype)


def gem_temperature(p: Projections) -> Tensor:
    """GEM's t, per image: "b 1 1 1"."""
    return p.stream.norm(dim=-1).mean(dim=-1)[:, None, None, None] * p.v.shape[-1] ** -0.5


def gem_attention(p: Projections, rows: slice) -> Tensor:
    """GEM's A v: self-self attention averaged over v, k and q, after one iteration of itself."""
    temperature, parts = gem_temperature(p), []
    for vectors in (p.v, p.k, p.q):
        unit = F.normalize(vectors, dim=-1)
        unit = F.normalize(p.attend(unit * temperature, unit, unit, scale=1.0), dim=-1)
        parts.append(p.attend((unit * temperature)[:, :, rows], unit, p.v, scale=1.0))
    return torch.stack(parts).mean(dim=0)


def gem_weights(p: Projections, rows: slice) -> Tensor:
    """GEM's A at the given rows, "b a r n"."""
    temperature, parts = gem_temperature(p), []
    for vectors in (p.v, p.k, p.q):
        unit = F.normalize(vectors, dim=-1)
        unit = F.normalize(softmax_weights(unit, unit, slice(None), temperature) @ unit, dim=-1)
        parts.append(softmax_weights(unit, unit, rows, temperature))
    return torch.stack(parts).mean(dim=0)


# Name -> affinity. Own ones are added under names that are free.
AFFINITIES: dict[str, Affinity] = {
    'identity': Affinity(
        'v',
        attend=lambda p, rows: p.v[:, :, rows],
        weights=identity_weights,
    ),
    'qk': Affinity(
        'qkv',
        attend=lambda p, rows: p.attend(p.q[:, :, rows], p.k, p.v),
        weights=lambda p, rows: softmax_weights(p.q, p.k, rows),
    ),
    'qq': Affinity(
        'qv',
        attend=lambda p, rows: self_attention(p, p.q, rows),
        weights=lambda p, rows: softmax_weights(p.q, p.q, rows),
        sharpened=lambda p: sharpened_attention(p.q, p.v),
    ),
    'kk': Affinity(
        'kv',
        attend=lambda p, rows: self_attention(p, p.k, rows),
        weights=lambda p, rows: softmax_weights(p.k, p.k, rows),
        sharpened=lambda p: sharpened_attention(p.k, p.v),
    ),
    'vv': Affinity(
        'v',
        attend=lambda p, rows: self_attention(p, p.v, rows),
        weights=lambda p, rows: softmax_weights(p.v, p.v, rows),
        sharpened=lambda p: sharpened_attention(p.v, p.v),
    ),
    'qq+kk': Affinity(
        'qkv',
        attend=lambda p, rows: self_attention(p, p.q, rows) + self_attention(p, p.k, rows),
        weights=lambda p, rows: softmax_weights(p.q, p.q, rows) + softmax_weights(p.k, p.k, rows),
        sharpened=lambda p: sharpened_attention(p.q, p.v) + sharpened_attention(p.k, p.v),
    ),
    'kk+gauss': Affinity(
        'kv',
        attend=lambda p, rows: self_attention(p, p.k, rows, gauss_bias(p.grid, p.k)[rows]),
        weights=lambda p, rows: softmax_weights(p.k, p.k, rows, bias=gauss_bias(p.grid, p.k)[rows]),
    ),
    'gem': Affinity(
        'qkv',
        attend=gem_attention,
        weights=gem_weights,
    ),
}
open_table('affinity', AFFINITIES)


def affinity_named(name: str) -> Affinity:
    """The row of a name. Raises ValueError for an unknown one; the sentence lists those that are there."""
    if not isinstance(name, str) or name not in AFFINITIES:
        raise ValueError(f'affinity must be one of {", ".join(AFFINITIES)}, got {name!r}')
    return AFFINITIES[name]
