"""Image towers that are read by a surgery: CLIP untouched, the side stream beside it.

    x = CLIP's tokens;   y = the side stream (see `surgery`), patches only
    blocks before the last n:   x = block(x)
    last n blocks:              y = y + O(A v) [+ MLP],  x = block(x);  the very last one for x's class token alone
    result:                     class token from x, patches from y, both through the final LayerNorm and projection

Nothing reads x after the last block but its class token, hence the short cut: there only those of q, k, v are made that
the affinity or the class token reads. q, k, v of a block serve both streams.
CLIP Surgery, arXiv 2304.05653, section 3.2; rows of other papers in `surgery.SURGERIES`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..affinities import (
    AFFINITY_PARTS,
    AFFINITY_READS,
    Projections,
    attend_out,
    attend_plainly,
    feed_forward,
    merge_heads,
    project,
    run_block,
    run_class_token,
    side_read,
    split_heads,
    unknown_parameters,
)
from ..structures import ImageTokens
from ..surgery import Surgery
from .sources import build_image_tower, resolve

RESNET_STRIDE = 32
logger = logging.getLogger('mmseg_clipsurgery')


class ImageTower(BaseModule):
    """What both kinds of tower share: building, checking the input, staying in eval mode.

    Args:
        arch: an open_clip model name, a folder in open_clip's local-dir form, 'scenes', 'hf-hub:org/model' or a
            dict in the form of open_clip's model JSON.
        pretrained: an open_clip tag, a weights file, 'local-dir:FOLDER', 'hf-hub:org/model', 'scenes', or None (a
            folder's own weights where arch is one, else random weights).
        surgery: a name of `SURGERIES`, a dict of fields or a `Surgery`.
        quick_gelu: the activation, needed for a plain weights file that cannot tell it.
        checksum: SHA-256 the weights file must have.
        cache_dir: where downloads go.

    Attributes:
        visual: open_clip's tower, unmodified.
        patch: pixels per patch side (a ResNet's total stride).
        mean, std: RGB pixel statistics the tower expects, for values in [0, 1].

    Raises:
        ValueError, FileNotFoundError: see `pretrained.resolve` and `build_image_tower`.
    """

    kind: str

    def __init__(
        self,
        arch: str | Path | Mapping,
        pretrained: str | Path | None = None,
        surgery: str | Mapping | Surgery = 'clip_surgery',
        quick_gelu: bool | None = None,
        checksum: str | None = None,
        cache_dir: str | None = None,
        init_cfg: Mapping | None = None,
    ):
        super().__init__(init_cfg)
        self.surgery = Surgery.read(surgery)
        source = resolve(arch, pretrained, quick_gelu, checksum, cache_dir)
        self.label, self.mean, self.std = source.label, source.mean, source.std
        self.config = source.config
        self.visual = build_image_tower(source, self.kind)
        self.eval()

    def train(self, mode: bool = True):
        """CLIP is only read: the tower stays in eval mode (its batch statistics and dropout with it)."""
        return super().train(False)

    def check_images(self, images: Tensor) -> Tensor:
        """Images "b 3 H W" in the tower's dtype.

        Raises:
            ValueError: another shape, an image smaller than a patch, or NaN or infinite values.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f'images must be "b 3 H W", got shape {tuple(images.shape)}')
        if min(images.shape[2:]) < self.patch:
            raise ValueError(
                f'images must be at least one patch ({self.patch} pixels) high and wide, got '
                f'{images.shape[2]} x {images.shape[3]} (height x width)'
            )
        if not torch.compiler.is_compiling() and not torch.isfinite(images).all():
            raise ValueError('images hold NaN or infinite values; check the file and its normalisation')
        return images.to(self.visual.conv1.weight.dtype)


@MODELS.register_module()
class CLIPSurgeryViT(ImageTower):
    """open_clip's own ViT towers (`pool_type='tok'`, no attention pooling); arguments as `ImageTower`.

    Raises:
        ValueError: as there, and a surgery that reads more blocks than the tower has.
    """

    kind = 'vit'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        vision = self.config['vision_cfg']
        blocks = self.visual.transformer.resblocks
        check_vit(self.visual, self.label)
        self.patch = self.visual.conv1.kernel_size[0]
        self.heads = vision['width'] // vision.get('head_width', 64)
        self.trained_grid = tuple(self.visual.grid_size)
        if self.surgery.last_blocks > len(blocks):
            raise ValueError(
                f'the surgery reads the last {self.surgery.last_blocks} blocks, {self.label} has '
                f'{len(blocks)}; give surgery=dict(last_blocks=..., ...) with fewer'
            )

    def forward(self, images: Tensor, class_token: bool = True) -> ImageTokens:
        """Read a batch of images.

        Args:
            images: "b 3 H W", normalised, H and W any size of at least one patch; a remainder at right and bottom
                that fills no patch is not seen.
            class_token: whether the class token is wanted; without it the last block costs less.

        Returns:
            ImageTokens, grid h = H // patch, w = W // patch; not normalised, in the joint space.

        Raises:
            ValueError: see `check_images`.
        """
        images = self.check_images(images)
        x, grid = self.embed(images)
        blocks, n = self.visual.transformer.resblocks, self.surgery.last_blocks
        for block in blocks[: len(blocks) - n]:
            x = run_block(block, x, self.heads)
        if n == 0:
            return self.finish(x[:, :1] if class_token else None, x[:, 1:], grid)
        y = x[:, 1:] if self.surgery.residual else torch.zeros_like(x[:, 1:])
        for block in blocks[len(blocks) - n : -1]:
            p = project(block, x, self.heads, grid)
            y = side_read(block, y, p, self.surgery.affinity, self.surgery.ffn)
            x = feed_forward(block, x + attend_out(block, AFFINITY_READS['qk'](p, slice(None))))
        parts = AFFINITY_PARTS[self.surgery.affinity] + ('k' if class_token else '')
        p = project(blocks[-1], x, self.heads, grid, parts)
        y = side_read(blocks[-1], y, p, self.surgery.affinity, self.surgery.ffn)
        return self.finish(run_class_token(blocks[-1], x, p) if class_token else None, y, grid)

    def embed(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Images "b 3 H W" -> tokens "b n d" before the first block (class token first), grid (h, w)."""
        visual = self.visual
        patches = visual.conv1(images)
        grid = (patches.shape[2], patches.shape[3])
        patches = patches.flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(patches.dtype).expand(len(images), 1, -1)
        table = resize_position_table(
            visual.positional_embedding, self.trained_grid, grid, self.surgery.position
        )
        return visual.ln_pre(torch.cat([first, patches], dim=1) + table.to(patches.dtype)), grid

    def finish(self, first: Tensor | None, patches: Tensor, grid: tuple[int, int]) -> ImageTokens:
        """Final LayerNorm and projection of the class token "b 1 d" and the patches "b n d"."""
        visual = self.visual
        patch_tokens = (visual.ln_post(patches) @ visual.proj).transpose(1, 2).unflatten(2, grid)
        cls_token = None if first is None else visual.ln_post(first[:, 0]) @ visual.proj
        return ImageTokens(cls_token, patch_tokens)


@MODELS.register_module()
class CLIPSurgeryResNet(ImageTower):
    """CLIP's ModifiedResNets: their one attention, the pool, is read for every token; arguments as `ImageTower`.

        tokens = (mean token, grid) + position;    A v for every token, then the pool's output projection

    No residual, no MLP (the pool has none, so those fields have no effect); `last_blocks=0` is CLIP's own pool, with
    each patch as a query. The released code copies v into q and k, so that the class token is read by A too.

    Args:
        variant: 'released': A = softmax(s v v^T) for every token; 'paper' (the released code's setting 'resnet'):
            patches are read sharper, A = softmax(8 s u u^T) with u = v / (|v| + 1e-6), the class token as before.
            Likewise for the affinities qq, kk and qq+kk. No effect where `last_blocks` is 0.

    Raises:
        ValueError: as `ImageTower`, an unknown variant, and an affinity that has no paper variant.
    """

    kind = 'resnet'
    patch = RESNET_STRIDE

    def __init__(self, *args, variant: str = 'released', **kwargs):
        super().__init__(*args, **kwargs)
        if variant not in ('released', 'paper'):
            raise ValueError(f"variant must be 'released' or 'paper', got {variant!r}")
        self.sharpened = variant == 'paper' and self.surgery.last_blocks > 0
        if self.sharpened and self.surgery.affinity not in SHARPENED_READS:
            raise ValueError(
                f"variant='paper' sharpens the affinities {', '.join(SHARPENED_READS)}, got "
                f"{self.surgery.affinity!r}; use one of them or variant='released'"
            )
        side = round((len(self.visual.attnpool.positional_embedding) - 1) ** 0.5)
        self.trained_grid = (side, side)

    def forward(self, images: Tensor, class_token: bool = True) -> ImageTokens:
        """Read a batch of images "b 3 H W"; grid h = ceil(H / 2) // 16, w likewise. See `CLIPSurgeryViT.forward`."""
        visual = self.visual
        x = visual.stem(self.check_images(images))
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        grid = (x.shape[2], x.shape[3])
        tokens = self.read_pool(x.flatten(2).permute(2, 0, 1), grid)
        patch_tokens = tokens[:, 1:].transpose(1, 2).unflatten(2, grid)
        return ImageTokens(tokens[:, 0] if class_token else None, patch_tokens)

    def read_pool(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Feature map "n b d" -> tokens "b 1+n c", the class token first.

        Tokens lie outermost in memory and A is held as a whole, as in the published code (for CLIP's own pool: images
        outermost, as in open_clip): where affinities are sharp, the rounding of another order shows.
        """
        pool = self.visual.attnpool
        table = resize_position_table(
            pool.positional_embedding, self.trained_grid, grid, self.surgery.position
        )
        x = torch.cat([x.mean(dim=0, keepdim=True), x]) + table[:, None].to(x.dtype)
        x = x.transpose(0, 1) if self.surgery.last_blocks else x.transpose(0, 1).contiguous()
        q, k, v = (split_heads(part(x), pool.num_heads) for part in (pool.q_proj, pool.k_proj, pool.v_proj))
        affinity = self.surgery.affinity if self.surgery.last_blocks else 'qk'
        p = Projections(q, k, v, x, grid, attend_plainly)
        read = AFFINITY_READS[affinity](p, slice(1 if self.sharpened else None))
        if self.sharpened:
            read = torch.cat([read, SHARPENED_READS[affinity](p)], dim=2)
        return pool.c_proj(merge_heads(read))


def sharpened_read(p: Tensor, v: Tensor) -> Tensor:
    """softmax(8 s u u^T) v, u = p / (|p| + 1e-6), for the patches' queries. p, v "b a n e" -> "b a n-1 e"."""
    unit = p / (p.norm(dim=-1, keepdim=True) + 1e-6)
    return attend_plainly(unit[:, :, 1:], unit, v, scale=8 * p.shape[-1] ** -0.5)


# The paper's variant of CLIP's ResNets: affinity name -> read(projections) -> A v at the patches, "b a n-1 e".
SHARPENED_READS = {
    'qq': lambda p: sharpened_read(p.q, p.v),
    'kk': lambda p: sharpened_read(p.k, p.v),
    'vv': lambda p: sharpened_read(p.v, p.v),
    'qq+kk': lambda p: sharpened_read(p.q, p.v) + sharpened_read(p.k, p.v),
}


def resize_position_table(
    table: Tensor, trained: tuple[int, int], grid: tuple[int, int], position: str
) -> Tensor:
    """Fit a position table to another grid; the class token's row and the table itself stay as they are.

    Args:
        table: "1+n d", class token first, n = trained h * w, row by row.
        trained: its grid (h, w).
        grid: the wanted grid (h, w); equal to `trained`: the table is returned as it is.
        position: 'bilinear' or 'bicubic_antialias' by size; 'bicubic_scale' by the factor (grid + 0.1) / trained,
            as DINO's and SCLIP's code do.

    Returns:
        "1+h*w d".
    """
    if grid == trained:
        return table
    image = table[1:].float().T.unflatten(1, trained)[None]
    if position == 'bicubic_scale':
        factor = tuple((want + 0.1) / have for want, have in zip(grid, trained, strict=True))
        image = F.interpolate(image, scale_factor=factor, mode='bicubic', recompute_scale_factor=False)
    elif position == 'bicubic_antialias':
        # A CPU's torch (2.13) resizes to a single column wrongly, to a single row rightly.
        turned = grid[1] == 1
        image = image.mT if turned else image
        image = F.interpolate(image, size=grid[::-1] if turned else grid, mode='bicubic', antialias=True)
        image = image.mT if turned else image
    else:
        image = F.interpolate(image, size=grid, mode='bilinear')
    return torch.cat([table[:1], image[0].flatten(1).T.to(table.dtype)])


def check_vit(visual: nn.Module, label: str) -> None:
    """Refuse towers that the side read does not cover: other block parameters (qk-norm, head scales, ...), no patches.

    Raises:
        ValueError: names what is in the way.
    """
    if unknown := unknown_parameters(visual.transformer.resblocks):
        raise ValueError(f'{label} has blocks with {", ".join(unknown)}, which the side read does not cover')
    if not isinstance(visual.conv1, nn.Conv2d) or len(set(visual.conv1.kernel_size)) > 1:
        raise ValueError(f'{label} does not cut its image into square patches; give an arch that does')
