"""open_clip's own ViT towers: a class token, no attention pooling.

images -> patch embedding + position table -> blocks (`dual_path`) -> final LayerNorm, projection
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .blocks import TransformerBlock, unknown_parameters
from .position_table import resize_position_table
from .transformer_tower import TransformerTower


class CLIPSurgeryViT(TransformerTower):
    """open_clip's own ViT towers (`pool_type='tok'`, no attention pooling); arguments as `ImageTower`."""

    title = 'a ViT'

    @classmethod
    def recognises(cls, vision: Mapping[str, Any]) -> bool:
        own = not vision.get('timm_model_name') and not isinstance(vision.get('layers'), list | tuple)
        pooled = vision.get('attentional_pool') or vision.get('global_average_pool')
        return bool(vision) and own and not pooled and vision.get('pool_type', 'tok') == 'tok'

    def set_up(self) -> None:
        check_vit(self.visual, self.label)
        vision = self.config['vision_cfg']
        self.patch = self.visual.conv1.kernel_size[0]
        self.heads = vision['width'] // vision.get('head_width', 64)
        self.trained_grid = tuple(self.visual.grid_size)

    @property
    def width(self) -> int:
        return self.config['vision_cfg']['width']

    @property
    def has_class_token(self) -> bool:
        return self.config['vision_cfg'].get('pool_type', 'tok') == 'tok'

    @property
    def blocks(self) -> list[TransformerBlock]:
        """Its blocks in the form of `new_path.Block`."""
        return [TransformerBlock(block, self.heads) for block in self.visual.transformer.resblocks]

    @property
    def stages(self) -> dict[str, list[nn.Parameter]]:
        """'output', then the blocks from the last to the first, then 'input': patches, class token, positions."""
        blocks = {f'block {n}': [f'transformer.resblocks.{n - 1}.'] for n in range(len(self.blocks), 0, -1)}
        return self.staged({'output': ['ln_post', 'proj'], **blocks})

    def patch_embedding(self, images: Tensor, grid: tuple[int, int], position: str) -> Tensor:
        visual = self.visual
        patches = visual.conv1(images).flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(patches.dtype).expand(images.shape[0], 1, -1)
        table = resize_position_table(visual.positional_embedding, self.trained_grid, grid, position)
        return visual.ln_pre(torch.cat([first, patches], dim=1) + table.to(patches.dtype))

    def to_joint(self, tokens: Tensor) -> Tensor:
        return self.visual.ln_post(tokens) @ self.visual.proj


def check_vit(visual: nn.Module, label: str) -> None:
    """Refuse towers that the blocks' reader does not cover: other parameters (qk-norm, head scales, ...), no patches.

    Raises:
        ValueError: names what is in the way.
    """
    if unknown := unknown_parameters(visual.transformer.resblocks):
        raise ValueError(f'{label} has blocks with {", ".join(unknown)}, which surgeries do not account for')
    if not isinstance(visual.conv1, nn.Conv2d) or len(set(visual.conv1.kernel_size)) > 1:
        raise ValueError(f'{label} does not cut its image into square patches; give an arch that does')
