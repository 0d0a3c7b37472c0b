"""The side read of one transformer block: affinities as pure functions over one table.

Of a block only named parameters are read (`attn.in_proj_weight`, `attn.out_proj`, `ln_1`, `mlp`, ...), never its
`forward`, whose layout changes between open_clip releases.

    q, k, v = split(W LN1(x) + b)          A v with, s = head width^-0.5:
    identity   v                           qk         softmax(s q k^T) v       (CLIP's own)
    qq kk vv   softmax(s p p^T) v          qq+kk      softmax(s q q^T) v + softmax(s k k^T) v   (rows sum to 2)
    kk+gauss   softmax(s k k^T + g) v      g_ij = exp(-(dy^2 + dx^2) / (2 * 5^2)) in patches, 0 to the class token
    gem        mean over p in (v, k, q) of softmax(t p' p'^T) v,   p' = norm(softmax(t norm(p) norm(p)^T) norm(p)),
               t = s * mean over tokens of |LN1(x)|, per image

Sources: CLIP Surgery section 3.2, SCLIP eq. 4, NACLIP section 3.3, GEM section 3.2 and its released code (scale).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAUSS_STD = 5.0  # patches, NACLIP


class Projections(NamedTuple):
    """What an affinity may read: q, k, v "b a n e", the normed stream they came from "b n d", the grid (h, w).

    Token 0 is the class token; the patches follow row by row.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    stream: Tensor
    grid: tuple[int, int]


def self_read(p: Tensor, v: Tensor, rows: slice, bias: Tensor | None = None) -> Tensor:
    """softmax(s p p^T + bias) v at the given rows. p, v "b a n e", bias "r n" -> "b a r e"."""
    return F.scaled_dot_product_attention(p[:, :, rows], p, v, attn_mask=bias)


def gauss_bias(grid: tuple[int, int], like: Tensor, std: float = GAUSS_STD) -> Tensor:
    """NACLIP's neighbourhood prior over all tokens "n n": a Gaussian of patch distance, 0 for the class token."""
    height, width = grid
    dy = torch.arange(height, dtype=torch.float32, device=like.device)
    dx = torch.arange(width, dtype=torch.float32, device=like.device)
    near_y = torch.exp(-((dy[:, None] - dy) ** 2) / (2 * std**2))
    near_x = torch.exp(-((dx[:, None] - dx) ** 2) / (2 * std**2))
    near = torch.einsum('ij,kl->ikjl', near_y, near_x).reshape(height * width, height * width)
    return F.pad(near, (1, 0, 1, 0)).to(like.dtype)


def gem_read(p: Projections, rows: slice) -> Tensor:
    """GEM's self-self attention, averaged over v, k and q; one iteration; temperature per image."""
    temperature = p.stream.norm(dim=-1).mean(dim=-1)[:, None, None, None] * p.v.shape[-1] ** -0.5
    reads = []
    for vectors in (p.v, p.k, p.q):
        unit = F.normalize(vectors, dim=-1)
        mixed = F.scaled_dot_product_attention(unit * temperature, unit, unit, scale=1.0)
        unit = F.normalize(mixed, dim=-1)
        reads.append(F.scaled_dot_product_attention((unit * temperature)[:, :, rows], unit, p.v, scale=1.0))
    return torch.stack(reads).mean(dim=0)


# Affinity name -> read(projections, rows) -> A v at those rows, "b a r e".
AFFINITY_READS: dict[str, Callable[[Projections, slice], Tensor]] = {
    'identity': lambda p, rows: p.v[:, :, rows],
    'qk': lambda p, rows: F.scaled_dot_product_attention(p.q[:, :, rows], p.k, p.v),
    'qq': lambda p, rows: self_read(p.q, p.v, rows),
    'kk': lambda p, rows: self_read(p.k, p.v, rows),
    'vv': lambda p, rows: self_read(p.v, p.v, rows),
    'qq+kk': lambda p, rows: self_read(p.q, p.v, rows) + self_read(p.k, p.v, rows),
    'kk+gauss': lambda p, rows: self_read(p.k, p.v, rows, gauss_bias(p.grid, p.k)[rows]),
    'gem': gem_read,
}


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Shape "b n (a e)" -> "b a n e"."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Shape "b a n e" -> "b n (a e)"."""
    return x.transpose(1, 2).flatten(2)


def project(block: nn.Module, x: Tensor, heads: int, grid: tuple[int, int] = (0, 0)) -> Projections:
    """q, k, v of one block from its input stream x "b n d"."""
    stream = block.ln_1(x)
    qkv = F.linear(stream, block.attn.in_proj_weight, block.attn.in_proj_bias)
    q, k, v = (split_heads(part, heads) for part in qkv.chunk(3, dim=-1))
    return Projections(q, k, v, stream, grid)


def attend_out(block: nn.Module, read: Tensor) -> Tensor:
    """The block's output projection (and layer scale, where it has one) of a read "b a n e" -> "b n d"."""
    out = block.attn.out_proj
    return layer_scale(block, 'ls_1', F.linear(merge_heads(read), out.weight, out.bias))


def feed_forward(block: nn.Module, x: Tensor) -> Tensor:
    """x "b n d" plus the block's MLP of LN2(x)."""
    return x + layer_scale(block, 'ls_2', block.mlp(block.ln_2(x)))


def layer_scale(block: nn.Module, name: str, x: Tensor) -> Tensor:
    scale = getattr(block, name, None)
    return x if scale is None else scale(x)


def run_block(block: nn.Module, x: Tensor, heads: int, causal: bool = False) -> Tensor:
    """CLIP's own block on x "b n d", with a causal mask for text towers."""
    p = project(block, x, heads)
    x = x + attend_out(block, F.scaled_dot_product_attention(p.q, p.k, p.v, is_causal=causal))
    return feed_forward(block, x)


def run_class_token(block: nn.Module, x: Tensor, p: Projections) -> Tensor:
    """CLIP's own block for the class token alone: one query, one MLP token. -> "b 1 d"."""
    read = F.scaled_dot_product_attention(p.q[:, :, :1], p.k, p.v)
    return feed_forward(block, x[:, :1] + attend_out(block, read))


def side_read(block: nn.Module, y: Tensor, p: Projections, affinity: str, ffn: bool) -> Tensor:
    """Add one block's read to the side stream y "b n-1 d" (patch tokens only)."""
    y = y + attend_out(block, AFFINITY_READS[affinity](p, slice(1, None)))
    return feed_forward(block, y) if ffn else y
