"""The residual attention blocks of open_clip's own transformers, read by the names of their parameters.

Of a block only named parameters are read (`attn.in_proj_weight`, `attn.out_proj`, `ln_1`, `mlp`, ...), never its
`forward`, whose layout changes between open_clip releases. So a block with other parameters is refused
(`unknown_parameters`).
"""

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from ..attention import Projections

# The parameters that `TransformerBlock` accounts for; blocks with others are refused.
KNOWN_PARAMETERS = {
    f'{part}.{kind}'
    for part in ('ln_1', 'ln_2', 'mlp.c_fc', 'mlp.c_proj', 'attn.out_proj')
    for kind in ('weight', 'bias')
} | {'attn.in_proj_weight', 'attn.in_proj_bias', 'ls_1.gamma', 'ls_2.gamma'}


def unknown_parameters(blocks: Iterable[nn.Module]) -> list[str]:
    """Names of parameters that blocks hold beyond the known ones (qk-norm, head scales, ...), sorted."""
    return sorted({name for block in blocks for name, _ in block.named_parameters()} - KNOWN_PARAMETERS)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Shape "b n (a e)" -> "b a n e"."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Shape "b a n e" -> "b n (a e)"."""
    return x.transpose(1, 2).flatten(2)


class TransformerBlock:
    """A `new_path.Block` over one of open_clip's blocks; holds no weights of its own.

    Args:
        block: open_clip's ResidualAttentionBlock.
        heads: number of attention heads.
    """

    def __init__(self, block: nn.Module, heads: int):
        self.block, self.heads = block, heads

    def project(self, x: Tensor, grid: tuple[int, int] = (0, 0)) -> Projections:
        """q, k and v of the tokens x "b n d", in one product."""
        stream, attention = self.block.ln_1(x), self.block.attn
        parts = F.linear(stream, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
        q, k, v = (split_heads(part, self.heads) for part in parts)
        return Projections(q, k, v, stream, grid)

    def project_parts(self, x: Tensor, grid: tuple[int, int] = (0, 0), parts: str = 'qkv') -> Projections:
        """Only those of q, k and v named in `parts`, each by a product of its own; the others stay empty."""
        stream = self.block.ln_1(x)
        made = {part: self.projected(stream, part) for part in parts}
        q, k, v = (made.get(part, stream.new_empty(0)) for part in 'qkv')
        return Projections(q, k, v, stream, grid)

    def projected(self, stream: Tensor, part: str) -> Tensor:
        """One of q, k and v of normalised tokens "b n d": "b a n e"."""
        width, attention = stream.shape[-1], self.block.attn
        rows = slice('qkv'.index(part) * width, ('qkv'.index(part) + 1) * width)
        return split_heads(
            F.linear(stream, attention.in_proj_weight[rows], attention.in_proj_bias[rows]), self.heads
        )

    def class_query(self, p: Projections) -> Tensor:
        """q of the class token, "b a 1 e"."""
        return self.projected(p.stream[:, :1], 'q')

    def output(self, attended: Tensor) -> Tensor:
        """The output projection (and layer scale, where there is one) of attended values "b a n e" -> "b n d"."""
        out = self.block.attn.out_proj
        return self.layer_scale('ls_1', F.linear(merge_heads(attended), out.weight, out.bias))

    def feed_forward(self, x: Tensor) -> Tensor:
        """x "b n d" plus the MLP of LN2(x)."""
        return x + self.layer_scale('ls_2', self.block.mlp(self.block.ln_2(x)))

    def layer_scale(self, name: str, x: Tensor) -> Tensor:
        scale = getattr(self.block, name, None)
        return x if scale is None else scale(x)

    def run(self, x: Tensor, causal: bool = False) -> Tensor:
        """CLIP's own block on x "b n d", with a causal mask for text towers."""
        p = self.project(x)
        x = x + self.output(F.scaled_dot_product_attention(p.q, p.k, p.v, is_causal=causal))
        return self.feed_forward(x)
