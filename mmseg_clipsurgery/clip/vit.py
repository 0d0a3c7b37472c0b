"""open_clip's own ViT towers: a class token, no attention pooling.

images -> patch embedding + position table -> blocks (`dual_path`) -> final LayerNorm, projection
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..attention import Projections
from ..dual_path import arrive, paths_of, projections_at
from ..methods.same_label import FeedbackRule
from ..structures import ImageTokens
from ..surgery import Surgery
from .blocks import TransformerBlock, unknown_parameters
from .position_table import resize_position_table
from .tower import ImageTower
from .tower_inputs import check_guide


class CLIPSurgeryViT(ImageTower):
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
    def depth(self) -> int:
        return len(self.visual.transformer.resblocks)

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
        blocks = {f'block {n}': [f'transformer.resblocks.{n - 1}.'] for n in range(self.depth, 0, -1)}
        return self.staged({'output': ['ln_post', 'proj'], **blocks})

    def grid_of(self, size: tuple[int, int]) -> tuple[int, int]:
        return size[0] // self.patch, size[1] // self.patch

    def read_group(
        self,
        images: Tensor,
        surgeries: list[Surgery],
        grid: tuple[int, int],
        class_token: bool,
        guide: Tensor | None = None,
        feedbacks: Sequence[FeedbackRule | None] = (),
    ) -> list[ImageTokens]:
        x = self.patch_embedding(images, grid, surgeries[0].position)
        arrival = arrive(self.blocks, x, grid, surgeries, class_token, given(guide))
        found = [
            self.project_tokens(path.class_token, path.patches, path.grid)
            for path in paths_of(arrival, class_token)
        ]
        for index, feedback in enumerate(feedbacks):
            if feedback is not None:
                bias = feedback(images, found[index].patch_tokens, self.patch)
                again = self.project_tokens(None, arrival.read(index, bias), grid)
                found[index] = found[index]._replace(patch_tokens=again.patch_tokens)
        return found

    def projections(
        self, images: Tensor, surgery: Surgery, block: int = -1, guide: Tensor | None = None
    ) -> Projections:
        blocks = surgery.last_blocks or self.depth
        if not isinstance(block, int) or not -blocks <= block <= -1:
            raise ValueError(f'block counts from the end, -1 to -{blocks} under this surgery, got {block!r}')
        check_guide(guide, images, [surgery])
        grid = self.grid_of((images.shape[2], images.shape[3]))
        x = self.patch_embedding(images, grid, surgery.position)
        return projections_at(self.blocks, x, grid, surgery, self.depth + block + 1, given(guide))

    def patch_embedding(self, images: Tensor, grid: tuple[int, int], position: str) -> Tensor:
        """Images "b 3 H W" -> tokens "b n d" before the first block, class token first."""
        visual = self.visual
        patches = visual.conv1(images).flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(patches.dtype).expand(len(images), 1, -1)
        table = resize_position_table(visual.positional_embedding, self.trained_grid, grid, position)
        return visual.ln_pre(torch.cat([first, patches], dim=1) + table.to(patches.dtype))

    def project_tokens(self, first: Tensor | None, patches: Tensor, grid: tuple[int, int]) -> ImageTokens:
        """Final LayerNorm and projection of the class token "b 1 d" and the patches "b n d"."""
        patch_tokens = self.to_joint(patches).transpose(1, 2).unflatten(2, grid)
        return ImageTokens(None if first is None else self.to_joint(first[:, 0]), patch_tokens)

    def to_joint(self, tokens: Tensor) -> Tensor:
        """Final LayerNorm and projection of tokens "... d" into the joint space, "... c"."""
        return self.visual.ln_post(tokens) @ self.visual.proj


def given(guide: Tensor | None) -> dict[str, Tensor]:
    """The traces that the caller gives."""
    return {} if guide is None else {'guide': guide}


def check_vit(visual: nn.Module, label: str) -> None:
    """Refuse towers that the blocks' reader does not cover: other parameters (qk-norm, head scales, ...), no patches.

    Raises:
        ValueError: names what is in the way.
    """
    if unknown := unknown_parameters(visual.transformer.resblocks):
        raise ValueError(f'{label} has blocks with {", ".join(unknown)}, which surgeries do not account for')
    if not isinstance(visual.conv1, nn.Conv2d) or len(set(visual.conv1.kernel_size)) > 1:
        raise ValueError(f'{label} does not cut its image into square patches; give an arch that does')
