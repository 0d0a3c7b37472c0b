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

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAUSS_STD = 5.0  # patches, NACLIP


class Projections(NamedTuple):
    """What an affinity may read: q, k, v "b a n e", the normed stream they came from "b n d", the grid (h, w).

    Those that nothing reads may be left empty, "0" (see `project`).
    Token 0 is the class token; the patches follow row by row. `attend(q, k, v, attn_mask=None, scale=None)` is the
    attention to read with: torch's, which never holds A, or `attend_plainly`.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    stream: Tensor
    grid: tuple[int, int]
    attend: Callable[..., Tensor] = F.scaled_dot_product_attention


def attend_plainly(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(scale q k^T + mask) v with A as a whole, which rounds as the published codes do."""
    logits = (q @ k.mT) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return (logits if attn_mask is None else logits + attn_mask).softmax(dim=-1) @ v


def self_read(p: Projections, vectors: Tensor, rows: slice, bias: Tensor | None = None) -> Tensor:
    """softmax(s u u^T + bias) v at the given rows, for u "b a n e" one of q, k, v. bias "r n" -> "b a r e"."""
    return p.attend(vectors[:, :, rows], vectors, p.v, attn_mask=bias)


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
        unit = F.normalize(p.attend(unit * temperature, unit, unit, scale=1.0), dim=-1)
        reads.append(p.attend((unit * temperature)[:, :, rows], unit, p.v, scale=1.0))
    return torch.stack(reads).mean(dim=0)


# Affinity name -> read(projections, rows) -> A v at those rows, "b a r e".
AFFINITY_READS: dict[str, Callable[[Projections, slice], Tensor]] = {
    'identity': lambda p, rows: p.v[:, :, rows],
    'qk': lambda p, rows: p.attend(p.q[:, :, rows], p.k, p.v),
    'qq': lambda p, rows: self_read(p, p.q, rows),
    'kk': lambda p, rows: self_read(p, p.k, rows),
    'vv': lambda p, rows: self_read(p, p.v, rows),
    'qq+kk': lambda p, rows: self_read(p, p.q, rows) + self_read(p, p.k, rows),
    'kk+gauss': lambda p, rows: self_read(p, p.k, rows, gauss_bias(p.grid, p.k)[rows]),
    'gem': gem_read,
}

# What each of them reads of q, k and v.
AFFINITY_PARTS = {
    'identity': 'v',
    'qk': 'qkv',
    'qq': 'qv',
    'kk': 'kv',
    'vv': 'v',
    'qq+kk': 'qkv',
    'kk+gauss': 'kv',
    'gem': 'qkv',
}


# All that a block may hold for `run_block` and `side_read` to be its whole truth.
BLOCK_PARAMETERS = {
    f'{part}.{kind}'
    for part in ('ln_1', 'ln_2', 'mlp.c_fc', 'mlp.c_proj', 'attn.out_proj')
    for kind in ('weight', 'bias')
} | {'attn.in_proj_weight', 'attn.in_proj_bias', 'ls_1.gamma', 'ls_2.gamma'}


def unknown_parameters(blocks: Iterable[nn.Module]) -> list[str]:
    """Names of parameters that blocks hold beyond the known ones (qk-norm, head scales, ...), sorted."""
    return sorted({name for block in blocks for name, _ in block.named_parameters()} - BLOCK_PARAMETERS)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Shape "b n (a e)" -> "b a n e"."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Shape "b a n e" -> "b n (a e)"."""
    return x.transpose(1, 2).flatten(2)


def project(
    block: nn.Module, x: Tensor, heads: int, grid: tuple[int, int] = (0, 0), parts: str = 'qkv'
) -> Projections:
    """q, k, v of one block from its input stream x "b n d".

    Their weights lie one below the other, so `parts`, those that are read, decide where to begin: 'v' leaves q and k
    out, 'kv' q; they are empty then.
    """
    stream = block.ln_1(x)
    first = min(map('qkv'.index, parts))
    skipped = first * x.shape[-1]
    weight, bias = block.attn.in_proj_weight[skipped:], block.attn.in_proj_bias[skipped:]
    made = F.linear(stream, weight, bias).chunk(3 - first, dim=-1)
    left_out = [stream.new_empty(0) for _ in range(first)]
    q, k, v = left_out + [split_heads(part, heads) for part in made]
    return Projections(q, k, v, stream, grid)


def first_query(block: nn.Module, p: Projections) -> Tensor:
    """The class token's q, "b a 1 e"."""
    if p.q.numel():
        return p.q[:, :, :1]
    width = p.stream.shape[-1]
    weight, bias = block.attn.in_proj_weight[:width], block.attn.in_proj_bias[:width]
    return split_heads(F.linear(p.stream[:, :1], weight, bias), p.v.shape[1])


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
    """CLIP's own block for the class token alone: one query, one MLP token; k and v are read. -> "b 1 d"."""
    read = F.scaled_dot_product_attention(first_query(block, p), p.k, p.v)
    return feed_forward(block, x[:, :1] + attend_out(block, read))


def side_read(block: nn.Module, y: Tensor, p: Projections, affinity: str, ffn: bool) -> Tensor:
    """Add one block's read to the side stream y "b n-1 d" (patch tokens only)."""
    y = y + attend_out(block, AFFINITY_READS[affinity](p, slice(1, None)))
    return feed_forward(block, y) if ffn else y
