"""CLIP's ModifiedResNets: their one attention, the pool, is read for every token.

    tokens = (mean token, grid) + position;    A v for every token, then the pool's output projection

No residual, no MLP (the pool has none, so those fields have no effect); `last_blocks=0` is CLIP's own pool, with each
patch as a query. The released code copies v into q and k, so that the class token is read by A too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..affinities import AFFINITIES, affinity_named, tokens_by
from ..attention import Projections, plain_attention
from ..methods.same_label import FeedbackRule
from ..structures import ImageTokens
from ..surgery import Surgery
from .blocks import merge_heads, split_heads
from .position_table import resize_position_table
from .tower import ImageTower

STRIDE = 32  # pixels


class CLIPSurgeryResNet(ImageTower):
    """CLIP's ModifiedResNets; arguments as `ImageTower`, and

    Args:
        variant: 'released': A = softmax(s v v^T) for every token; 'paper' (the released code's setting 'resnet'):
            patches are read sharper, A = softmax(8 s u u^T) with u = v / (|v| + 1e-6), the class token as before.
            Likewise for every affinity that has a `sharpened` form. No effect where `last_blocks` is 0.

    Raises:
        ValueError: as `ImageTower`, an unknown variant, and an affinity that has no sharpened form or needs traces.
    """

    title = 'a ResNet'
    patch = STRIDE

    @classmethod
    def recognises(cls, vision: Mapping[str, Any]) -> bool:
        return isinstance(vision.get('layers'), list | tuple) and not vision.get('timm_model_name')

    def __init__(self, *args, variant: str = 'released', **kwargs):
        if variant not in ('released', 'paper'):
            raise ValueError(f"variant must be 'released' or 'paper', got {variant!r}")
        self.variant = variant
        super().__init__(*args, **kwargs)

    def set_up(self) -> None:
        side = round((len(self.visual.attnpool.positional_embedding) - 1) ** 0.5)
        self.trained_grid = (side, side)

    @property
    def depth(self) -> None:
        """The pool is the last block, and there is no other, whatever number a surgery says."""

    def accepts(self, surgery) -> Surgery:
        row = super().accepts(surgery)
        affinity = AFFINITIES[row.affinity]
        if self.sharpens(row) and affinity.sharpened is None:
            known = [name for name, known in AFFINITIES.items() if known.sharpened]
            raise ValueError(
                f"variant='paper' sharpens the affinities {', '.join(known)}, got {row.affinity!r}; use one of them "
                "or variant='released'"
            )
        return row

    def sharpens(self, surgery: Surgery) -> bool:
        """Whether the patches are read by the sharpened form."""
        return self.variant == 'paper' and surgery.last_blocks > 0

    @property
    def stages(self) -> dict[str, list[nn.Parameter]]:
        """'pool', then the layers from the last to the first, then 'input'; batch statistics belong to none."""
        layers = {f'layer {n}': [f'layer{n}.'] for n in range(4, 0, -1)}
        return self.staged({'pool': ['attnpool.'], **layers})

    def grid_of(self, size: tuple[int, int]) -> tuple[int, int]:
        return -(-size[0] // 2) // 16, -(-size[1] // 2) // 16

    def read_group(
        self,
        images: Tensor,
        surgeries: list[Surgery],
        grid: tuple[int, int],
        class_token: bool,
        guide: Tensor | None = None,
        feedbacks: Sequence[FeedbackRule | None] = (),
    ) -> list[ImageTokens]:
        if any(feedbacks):
            raise ValueError(f'feedback is a second reading of a ViT, {self.label} is a ResNet; leave it out')
        cells = self.feature_map(images).flatten(2).permute(2, 0, 1)
        # Whether CLIP's own pool is read -> projections; the two lie differently in memory, see there.
        projections = {
            own: self.pool_projections(cells, grid, surgeries[0].position, own)
            for own in {row.last_blocks == 0 for row in surgeries}
        }
        return [self.read_pool(row, projections[row.last_blocks == 0], class_token) for row in surgeries]

    def projections(
        self, images: Tensor, surgery: Surgery, block: int = -1, guide: Tensor | None = None
    ) -> Projections:
        if block != -1:
            raise ValueError(f'a ResNet has one attention, its pool: block must be -1, got {block}')
        grid = self.grid_of((images.shape[2], images.shape[3]))
        cells = self.feature_map(images).flatten(2).permute(2, 0, 1)
        return self.pool_projections(cells, grid, surgery.position, surgery.last_blocks == 0)

    def feature_map(self, images: Tensor) -> Tensor:
        """Images "b 3 H W" -> the last layer's map "b d h w"."""
        visual = self.visual
        x = visual.stem(images)
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        return x

    def pool_projections(
        self, cells: Tensor, grid: tuple[int, int], position: str, own: bool = False
    ) -> Projections:
        """q, k and v of the attention pool, for the mean token and every cell.

        Tokens lie outermost in memory and A is held as a whole, as in the published code (for CLIP's own pool: images
        outermost, as in open_clip): where affinities are sharp, the rounding of another order shows.

        Args:
            cells: "n b d", the feature map row by row.
            grid: (h, w).
            position: rule for the position table.
            own: for CLIP's own pool.
        """
        pool = self.visual.attnpool
        table = resize_position_table(pool.positional_embedding, self.trained_grid, grid, position)
        x = torch.cat([cells.mean(dim=0, keepdim=True), cells]) + table[:, None].to(cells.dtype)
        x = x.transpose(0, 1).contiguous() if own else x.transpose(0, 1)
        q, k, v = (split_heads(part(x), pool.num_heads) for part in (pool.q_proj, pool.k_proj, pool.v_proj))
        return Projections(q, k, v, x, grid, plain_attention)

    def read_pool(self, surgery: Surgery, p: Projections, class_token: bool) -> ImageTokens:
        """Tokens of one surgery from the pool's projections."""
        name = surgery.affinity if surgery.last_blocks else 'qk'
        if self.sharpens(surgery):
            sharpened = affinity_named(name).sharpened
            assert sharpened is not None
            attended = torch.cat([tokens_by(name, p, slice(1)), sharpened(p)], dim=2)
        else:
            attended = tokens_by(name, p, slice(None))
        tokens = self.visual.attnpool.c_proj(merge_heads(attended))
        patch_tokens = tokens[:, 1:].transpose(1, 2).unflatten(2, p.grid)
        return ImageTokens(tokens[:, 0] if class_token else None, patch_tokens)
