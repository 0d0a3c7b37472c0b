"""Affinities: which tokens a new path attends to, A, and what it takes from them, A v; one row each.

With s = head width^-0.5 and rows of softmaxes over all tokens:

    identity    A = I
    qk          A = softmax(s q k^T)                                        CLIP's own attention
    qq kk vv    A = softmax(s p p^T)
    qq+kk       A = softmax(s q q^T) + softmax(s k k^T)                     rows sum to 2
    kk+gauss    A = softmax(s k k^T + g),  g_ij = exp(-(dy^2 + dx^2) / (2 * 5^2)) in patches, 0 to the class token
    gem         A = mean over p in (v, k, q) of softmax(t p' p'^T),   p' = norm(softmax(t norm(p) norm(p)^T) norm(p)),
                t = s * mean over tokens of |LN1(x)|, per image

Over the patches alone, as if there were no class token, with maps that earlier blocks left behind (`traces`):

    mid_cut         A = M,  M the sharpened cosines of a middle block
    kk&mid          A = (M + softmax(s k k^T)) / 2
    qq&kk&mid_cut   A = (M + softmax(s q q^T) + softmax(s k k^T)) / 3
    guide           A = the sharpened cosines of a second tower, on that tower's grid, v stretched to it

Over all tokens:

    kk_mean         A = mean over all blocks of softmax(s k k^T), the class token's row and column then 0
    (base)&cross    A = t ((1 - l) A_base + l C),  C the mean of CLIP's own attention of some blocks, (t, l) = `cross`

A second reading of the same block adds a bias B to its logits (`Projections.feedback`, ResCLIP's SFR): wherever a
row has softmax(s p p^T + g) it is then softmax(t ((1 - l) s p p^T + B) + g).

A row is an `Affinity`: `attend` gives A v without holding A where torch's fused attention allows, `weights` gives A,
for maps of what a patch attends to. The table is open: `AFFINITIES['mine'] = Affinity('kv', weights=mine)` makes
an affinity that a `Surgery` names like the shipped ones.

Sources: CLIP Surgery (arXiv 2304.05653) section 3.2, SCLIP (2312.01597) eq. 4, NACLIP (2404.08181) section 3.3, GEM
(2312.00878) section 3.2 and its released code (the temperature), SC-CLIP (2411.15869), SFP (ICCV 2025), ResCLIP
(2411.15851), RF-CLIP (2511.16170) and ProxyCLIP (2408.04883) in the form of their released codes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import (
    EVERY_TOKEN,
    Affinity,
    Projections,
    self_attention,
    self_weights,
    sharpened_attention,
    softmax_weights,
)
from .environment.extensions import is_shipped, open_table
from .methods.mixed_attention import (
    crossed,
    guide_attention,
    guide_grid,
    mean_attention,
    mean_weights,
    mixed_with_map,
)

GAUSS_STD = 5.0  # patches, NACLIP


def identity_weights(p: Projections, rows: slice) -> Tensor:
    """I at the given rows, "b a r n"."""
    count = p.v.shape[2]
    return torch.eye(count, device=p.v.device, dtype=p.v.dtype)[rows].expand(*p.v.shape[:2], -1, -1)


def gauss_bias(grid: tuple[int, int], like: Tensor, std: float = GAUSS_STD, before: int = 1) -> Tensor:
    """NACLIP's neighbourhood prior over all tokens "n n": a Gaussian of patch distance, 0 for the class token."""
    height, width = grid
    dy = torch.arange(height, dtype=torch.float32, device=like.device)
    dx = torch.arange(width, dtype=torch.float32, device=like.device)
    near_y = torch.exp(-((dy[:, None] - dy) ** 2) / (2 * std**2))
    near_x = torch.exp(-((dx[:, None] - dx) ** 2) / (2 * std**2))
    near = torch.einsum('ij,kl->ikjl', near_y, near_x).reshape(height * width, height * width)
    return F.pad(near, (before, 0, before, 0)).to(like.dtype)


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
        unit = F.normalize(softmax_weights(unit, unit, EVERY_TOKEN, temperature) @ unit, dim=-1)
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
        weights=lambda p, rows: self_weights(p, p.q, rows),
        takes_feedback=True,
        sharpened=lambda p: sharpened_attention(p.q, p.v),
    ),
    'kk': Affinity(
        'kv',
        attend=lambda p, rows: self_attention(p, p.k, rows),
        weights=lambda p, rows: self_weights(p, p.k, rows),
        takes_feedback=True,
        sharpened=lambda p: sharpened_attention(p.k, p.v),
    ),
    'vv': Affinity(
        'v',
        attend=lambda p, rows: self_attention(p, p.v, rows),
        weights=lambda p, rows: self_weights(p, p.v, rows),
        takes_feedback=True,
        sharpened=lambda p: sharpened_attention(p.v, p.v),
    ),
    'qq+kk': Affinity(
        'qkv',
        attend=lambda p, rows: self_attention(p, p.q, rows) + self_attention(p, p.k, rows),
        weights=lambda p, rows: self_weights(p, p.q, rows) + self_weights(p, p.k, rows),
        takes_feedback=True,
        sharpened=lambda p: sharpened_attention(p.q, p.v) + sharpened_attention(p.k, p.v),
    ),
    'kk+gauss': Affinity(
        'kv',
        attend=lambda p, rows: self_attention(p, p.k, rows, gauss_bias(p.grid, p.k, before=p.before)[rows]),
        weights=lambda p, rows: self_weights(p, p.k, rows, gauss_bias(p.grid, p.k, before=p.before)[rows]),
        takes_feedback=True,
    ),
    'gem': Affinity(
        'qkv',
        attend=gem_attention,
        weights=gem_weights,
    ),
    'mid_cut': mixed_with_map('', 'mid_cut_attention'),
    'kk&mid': mixed_with_map('k', 'mid_attention'),
    'qq&kk&mid_cut': mixed_with_map('qk', 'mid_cut_attention'),
    'kk_mean': Affinity('kv', attend=mean_attention, weights=mean_weights, needs=('kk_sum',)),
    'guide': Affinity('v', attend=guide_attention, needs=('guide', 'guide_attention'), grid=guide_grid),
}
AFFINITIES |= {f'{name}&cross': crossed(AFFINITIES[name]) for name in ('qq', 'qq+kk', 'kk+gauss')}
open_table('affinity', AFFINITIES)


def affinity_named(name: str) -> Affinity:
    """The row of a name.

    Raises:
        ValueError: there is none, which lists those that are there, or what stands there is no `Affinity`.
    """
    if not isinstance(name, str) or name not in AFFINITIES:
        raise ValueError(f'affinity must be one of {", ".join(AFFINITIES)}, got {name!r}')
    if not isinstance(row := AFFINITIES[name], Affinity):
        raise ValueError(
            f"AFFINITIES[{name!r}] must be an Affinity, such as Affinity('kv', weights=...), got {type(row).__name__}"
        )
    return row


def tokens_by(name: str, p: Projections, rows: slice) -> Tensor:
    """A v at the given rows, "b a r e", by the affinity of a name. Raises ValueError for an own one that fails."""
    affinity = AFFINITIES[name]
    return (
        affinity.new_tokens(p, rows)
        if is_shipped('affinity', name)
        else affinity.checked_tokens(name, p, rows)
    )
