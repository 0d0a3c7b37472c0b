"""The residual attention blocks of timm's ViTs and EVAs, read by the names of their parameters.

As in `blocks`, a block's own `forward` is not called, and a block with other parameters is refused. EVA's blocks turn
q and k by rotary positions (`rotary`), may hold q, k and v apart, and may normalise what attention gives.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attention import Projections
from .blocks import merge_heads, split_heads
from .rotary import Rotary

# The parameters that the blocks below account for, each with a weight and perhaps a bias.
KNOWN_PARTS = {
    'norm1',
    'norm2',
    'attn.qkv',
    'attn.q_proj',
    'attn.k_proj',
    'attn.v_proj',
    'attn.norm',
    'attn.proj',
}
KNOWN_PARTS |= {f'mlp.{part}' for part in ('fc1', 'fc1_g', 'fc1_x', 'fc2', 'norm')}
KNOWN_PARAMETERS = {f'{part}.{kind}' for part in KNOWN_PARTS for kind in ('weight', 'bias')}
KNOWN_PARAMETERS |= {'attn.q_bias', 'attn.v_bias', 'ls1.gamma', 'ls2.gamma', 'gamma_1', 'gamma_2'}


class TimmBlock:
    """A `new_path.Block` over one of timm's blocks with norms before attention and MLP; holds no weights of its own.

    Args:
        block: timm's Block or EvaBlock.
        before: how many tokens stand before the patches, 1 or 0.
        rotary: the tower's rotary positions; None: it has none.
    """

    def __init__(self, block: nn.Module, before: int, rotary: Rotary | None):
        self.block, self.before, self.rotary = block, before, rotary
        self.heads = block.attn.num_heads

    def project(self, x: Tensor, grid: tuple[int, int] = (0, 0)) -> Projections:
        """q, k and v of the tokens x "b n d", in one product where they are one matrix."""
        if getattr(self.block.attn, 'qkv', None) is None:
            return self.project_parts(x, grid)
        stream, attention = self.entering(x), self.block.attn
        parts = F.linear(stream, attention.qkv.weight, self.fused_bias()).chunk(3, dim=-1)
        q, k, v = (split_heads(part, self.heads) for part in parts)
        return self.placed(Projections(q, k, v, stream, grid, before=self.before))

    def project_parts(self, x: Tensor, grid: tuple[int, int] = (0, 0), parts: str = 'qkv') -> Projections:
        """Only those of q, k and v named in `parts`, each by a product of its own; the others stay empty."""
        stream = self.entering(x)
        made = {part: self.projected(stream, part) for part in parts}
        q, k, v = (made.get(part, stream.new_empty(0)) for part in 'qkv')
        return self.placed(Projections(q, k, v, stream, grid, before=self.before))

    def placed(self, p: Projections) -> Projections:
        """The projections, those of q and k that are there turned by rotary positions."""
        if self.rotary is None:
            return p
        q, k = (
            self.rotary.turned(part, p.grid, self.before) if part.numel() else part for part in (p.q, p.k)
        )
        return p._replace(q=q, k=k)

    def projected(self, stream: Tensor, part: str) -> Tensor:
        """One of q, k and v of normalised tokens "b n d", without positions: "b a n e"."""
        attention = self.block.attn
        if getattr(attention, 'qkv', None) is None:
            return split_heads(getattr(attention, f'{part}_proj')(stream), self.heads)
        width = len(attention.qkv.weight) // 3
        rows = slice('qkv'.index(part) * width, ('qkv'.index(part) + 1) * width)
        bias = self.fused_bias()
        made = F.linear(stream, attention.qkv.weight[rows], None if bias is None else bias[rows])
        return split_heads(made, self.heads)

    def fused_bias(self) -> Tensor | None:
        """The bias of q, k and v as one; EVA's has none for k."""
        attention = self.block.attn
        if getattr(attention, 'q_bias', None) is None:
            return attention.qkv.bias
        return torch.cat([attention.q_bias, torch.zeros_like(attention.q_bias), attention.v_bias])

    def class_query(self, p: Projections) -> Tensor:
        """q of the class token, "b a 1 e"."""
        return self.projected(p.stream[:, :1], 'q')

    def entering(self, x: Tensor) -> Tensor:
        """The tokens that q, k and v are made of."""
        return self.block.norm1(x)

    def output(self, attended: Tensor) -> Tensor:
        """The output projection (and layer scale, where there is one) of attended values "b a n e" -> "b n d"."""
        attention, merged = self.block.attn, merge_heads(attended)
        if getattr(attention, 'norm', None) is not None:
            merged = attention.norm(merged)
        return self.layer_scale(1, attention.proj(merged))

    def feed_forward(self, x: Tensor) -> Tensor:
        """x "b n d" plus the MLP of LN2(x)."""
        return x + self.layer_scale(2, self.block.mlp(self.block.norm2(x)))

    def layer_scale(self, which: int, x: Tensor) -> Tensor:
        module, gamma = (getattr(self.block, f'{name}{which}', None) for name in ('ls', 'gamma_'))
        x = x if module is None else module(x)
        return x if gamma is None else gamma * x


class PostNormBlock(TimmBlock):
    """A block with norms after attention and MLP (timm's EvaBlockPostNorm)."""

    def entering(self, x: Tensor) -> Tensor:
        return x

    def output(self, attended: Tensor) -> Tensor:
        return self.block.norm1(super().output(attended))

    def feed_forward(self, x: Tensor) -> Tensor:
        return x + self.block.norm2(self.block.mlp(x))


# timm's class of a block -> how it is read. Others are refused, whatever their parameters are called.
BLOCKS: dict[str, type[TimmBlock]] = {
    'Block': TimmBlock,
    'EvaBlock': TimmBlock,
    'EvaBlockPostNorm': PostNormBlock,
}
