"""timm's ViTs with a class token: EVA-CLIP's, MobileCLIP's, and plain ones.

images -> patch embedding (a stem of convolutions for MobileCLIP-B) -> class token, position table, perhaps a LayerNorm
-> blocks, perhaps with rotary positions (`timm_blocks`) -> final LayerNorm, linear head

open_clip names such a tower by `timm_model_name`, and takes its sizes from timm.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..surgery import Surgery
from ..surgery_constants import VIT_B16_SINKS
from .position_table import resize_position_table
from .rotary import Rotary, is_known
from .timm_blocks import BLOCKS, KNOWN_PARAMETERS, TimmBlock
from .transformer_tower import TransformerTower

TRUNKS = ('VisionTransformer', 'Eva')
# The parts of a trunk that are accounted for.
PARTS = {
    'cls_token',
    'pos_embed',
    'patch_embed',
    'norm_pre',
    'blocks',
    'norm',
    'attn_pool',
    'fc_norm',
    'head',
}
STEM_PATCH = 16  # pixels, of MobileCLIP-B's stem, whose name does not say it


class CLIPSurgeryTimmViT(TransformerTower):
    """timm's ViTs and EVAs with a class token and a linear head; arguments as `ImageTower`."""

    title = 'a timm ViT with a class token'

    @classmethod
    def recognises(cls, vision: Mapping[str, Any]) -> bool:
        vit = str(vision.get('timm_model_name', '')).startswith(('vit_', 'eva'))
        return vit and vision.get('timm_pool') == 'token' and not vision.get('timm_proj')

    @classmethod
    def patch_of(cls, vision: Mapping[str, Any]) -> int:
        stated = re.search(r'_patch(\d+)_', vision['timm_model_name'])
        return int(stated[1]) if stated else STEM_PATCH

    def set_up(self) -> None:
        trunk = self.trunk
        check_trunk(trunk, self.label)
        self.patch = self.patch_of(self.config['vision_cfg'])
        self.before = trunk.num_prefix_tokens
        self.trained_grid = tuple(trunk.patch_embed.grid_size)

    @property
    def trunk(self) -> nn.Module:
        """timm's model."""
        return self.visual.trunk

    @property
    def width(self) -> int:
        return self.trunk.embed_dim

    @property
    def has_class_token(self) -> bool:
        return True

    @property
    def blocks(self) -> list[TimmBlock]:
        rope = getattr(self.trunk, 'rope', None)
        rotary = None if rope is None else Rotary(rope)
        return [BLOCKS[type(block).__name__](block, self.before, rotary) for block in self.trunk.blocks]

    @property
    def stages(self) -> dict[str, list[nn.Parameter]]:
        """As of `CLIPSurgeryViT`; the attention pool is part of the output."""
        blocks = {f'block {n}': [f'trunk.blocks.{n - 1}.'] for n in range(len(self.trunk.blocks), 0, -1)}
        ends = [f'trunk.{part}.' for part in ('norm', 'attn_pool', 'fc_norm', 'head')]
        return self.staged({'output': ends, **blocks})

    @property
    def dtype(self) -> torch.dtype:
        return next(self.trunk.patch_embed.parameters()).dtype

    def accepts(self, surgery: str | Mapping | Surgery) -> Surgery:
        row = Surgery.read(surgery)
        if row.each_block is not None and row.constants.get('sinks') == VIT_B16_SINKS:
            raise ValueError(
                f"the sink channels of {row.name!r} are those of OpenAI's ViT-B/16, {self.label} is {self.title}; give "
                'own numbers: surgery=dict(name=..., constants=dict(sinks=...))'
            )
        return super().accepts(row)

    def patch_embedding(self, images: Tensor, grid: tuple[int, int], position: str) -> Tensor:
        trunk = self.trunk
        x = self.embedded_patches(images)
        first = [] if trunk.cls_token is None else [trunk.cls_token.to(x.dtype).expand(x.shape[0], -1, -1)]
        if trunk.pos_embed is not None:
            before = 0 if trunk.no_embed_class else self.before
            table = resize_position_table(trunk.pos_embed[0], self.trained_grid, grid, position, before)
            x = x + table[before:].to(x.dtype)
            first = [token + table[:before].to(x.dtype) if before else token for token in first]
        return trunk.norm_pre(torch.cat([*first, x], dim=1))

    def embedded_patches(self, images: Tensor) -> Tensor:
        """Images "b 3 H W" -> patches "b n d", without positions."""
        embed = self.trunk.patch_embed
        stem = getattr(embed, 'backbone', None)
        x = embed.proj(images if stem is None else stem(images)).flatten(2).transpose(1, 2)
        norm = getattr(embed, 'norm', None)
        return x if norm is None else norm(x)

    def to_joint(self, tokens: Tensor) -> Tensor:
        return self.trunk.head(self.trunk.fc_norm(self.trunk.norm(tokens)))


def check_trunk(trunk: nn.Module, label: str) -> None:
    """Refuse trunks that the reader does not cover: other models, blocks, positions or tokens.

    Raises:
        ValueError: names what is in the way.
    """
    kinds = {type(block).__name__ for block in getattr(trunk, 'blocks', [])}
    blocks = {name for block in trunk.blocks for name, _ in block.named_parameters()} if kinds else set()
    parts = {name.partition('.')[0] for name, _ in trunk.named_parameters()}
    rope = getattr(trunk, 'rope', None)
    wrong = {
        'the model': [] if type(trunk).__name__ in TRUNKS else [type(trunk).__name__],
        'parts': sorted(parts - PARTS),
        'blocks of kind': sorted(kinds - set(BLOCKS)),
        'blocks with': sorted(blocks - KNOWN_PARAMETERS),
        'rotary positions of kind': [] if rope is None or is_known(rope) else [type(rope).__name__],
    }
    found = [f'{what} {", ".join(names)}' for what, names in wrong.items() if names]
    if found:
        raise ValueError(f'{label} has {"; ".join(found)}, which surgeries do not account for')
