"""DINO's vision transformers, in torch alone: the second tower of ProxyCLIP.

    x = (class token, patches) + position table
    in each block:   x = x + proj(softmax(s q k^T) v),   q, k, v = qkv(LN(x))
                     x = x + fc2(gelu(fc1(LN(x))))
    features = LN(x), patches only

GELU is exact, LayerNorm's epsilon 1e-6; the position table is resized by the scale factor (grid + 0.1) / trained
(timm's resampling is another: 13-17 % off away from the trained grid). Parameters have the names of DINO's files,
which are timm's too.

Sources: DINO (arXiv 2104.14294), facebookresearch/dino; ProxyCLIP (2408.04883) reads the last block's tokens after
its norm.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip.checkpoints import no_weight, read_tensors
from ..clip.containers import listed
from ..clip.position_table import resize_position_table
from .weights import weights_path

logger = logging.getLogger('mmseg_clipsurgery')

# ImageNet's, for RGB values in [0, 1].
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EPSILON = 1e-6
ARCHS: dict[str, dict[str, int]] = {
    'vits16': dict(width=384, layers=12, heads=6, patch=16, image_size=224),
    'vits8': dict(width=384, layers=12, heads=6, patch=8, image_size=224),
    'vitb16': dict(width=768, layers=12, heads=12, patch=16, image_size=224),
    'vitb8': dict(width=768, layers=12, heads=12, patch=8, image_size=224),
}


class Attention(nn.Module):
    """Multi-head self-attention of tokens "b n d"."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two layers with an exact GELU between them, four times as wide inside."""

    def __init__(self, width: int):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class DINOBlock(nn.Module):
    """One block, tokens "b n d" -> "b n d"."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbedding(nn.Module):
    """Images "b 3 H W" -> "b d h w"."""

    def __init__(self, width: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images)


class DINOViT(nn.Module):
    """A DINO ViT that gives its patches' features.

    Args:
        arch: a name of `ARCHS`, or a dict of width, layers, heads, patch and image_size (pixels, of the square images
            that it was trained on).
        pretrained: a weights file (a state dict or safetensors, of DINO's names), 'timm:NAME' or 'hf-hub:ORG/NAME'
            (see `weights`); None: random weights, with a warning.
        checksum: SHA-256 the file must have.

    Attributes:
        patch: pixels per patch side.
        mean, std: RGB pixel statistics it expects, for values in [0, 1].
        trained_grid: (h, w) in patches.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown or illegal arch, a file that cannot be read as tensors alone, or one that does not fit.
    """

    def __init__(
        self,
        arch: str | Mapping[str, int] = 'vitb8',
        pretrained: str | Path | None = None,
        checksum: str | None = None,
    ):
        super().__init__()
        sizes = read_sizes(arch)
        width, self.patch = sizes['width'], sizes['patch']
        side = sizes['image_size'] // self.patch
        self.trained_grid, self.mean, self.std = (side, side), MEAN, STD
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + side * side, width))
        self.patch_embed = PatchEmbedding(width, self.patch)
        self.blocks = nn.ModuleList(DINOBlock(width, sizes['heads']) for _ in range(sizes['layers']))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        if pretrained is None:
            logger.warning('the guide DINOViT has random weights')
        else:
            load_guide(self, read_tensors(weights_path(pretrained), checksum), str(pretrained))
        self.eval()

    def train(self, mode: bool = True):
        """It is only read: it stays in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of the patches.

        Args:
            images: "b 3 H W", normalised by `mean` and `std`, at least one patch high and wide; a remainder at
            right and bottom that fills no patch is not seen.

        Returns:
            "b d h w".

        Raises:
            ValueError: another shape, or images smaller than a patch.
        """
        if images.dim() != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.patch:
            raise ValueError(
                f'images must be "b 3 H W" of at least {self.patch} x {self.patch} pixels, one patch of the guide, '
                f'got shape {tuple(images.shape)}'
            )
        embedded = self.patch_embed(images)
        grid = (embedded.shape[2], embedded.shape[3])
        table = resize_position_table(self.pos_embed[0], self.trained_grid, grid, 'bicubic_scale')
        patches = embedded.flatten(2).mT
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + table
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 1:].mT.unflatten(2, grid)


def read_sizes(arch: str | Mapping[str, int]) -> dict[str, int]:
    """An arch's sizes. Raises ValueError for an unknown name, other fields, or sizes that do not fit together."""
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'arch of a DINOViT must be one of {", ".join(ARCHS)} or a dict, got {arch!r}')
        return ARCHS[arch]
    sizes, known = dict(arch), list(ARCHS['vitb8'])
    whole = all(type(value) is int and value > 0 for value in sizes.values())
    if set(sizes) != set(known) or not whole:
        raise ValueError(f'arch of a DINOViT needs whole numbers {", ".join(known)}, got {sizes}')
    if sizes['width'] % sizes['heads'] or sizes['image_size'] < sizes['patch']:
        raise ValueError(
            f'arch of a DINOViT: width must be a multiple of heads, image_size at least patch, got {sizes}'
        )
    return sizes


def load_guide(guide: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy a file's tensors into a guide, strictly.

    Raises:
        ValueError: a name is missing or unexpected, a shape differs, or a tensor is no weight.
    """
    wanted: dict[str, Any] = guide.state_dict()
    missing = [name for name in wanted if name not in tensors]
    unexpected = [name for name in tensors if name not in wanted]
    if missing or unexpected:
        raise ValueError(
            f'{source} does not fit the guide: missing {listed(missing)}; unexpected {listed(unexpected)}. Check '
            'that arch names the model these weights belong to'
        )
    for name, value in tensors.items():
        if value.shape != wanted[name].shape:
            raise ValueError(
                f'{source}: {name} has shape {tuple(value.shape)}, arch asks for {tuple(wanted[name].shape)}; check '
                'that arch (its patch above all) and weights belong together'
            )
        if trouble := no_weight(value):
            raise ValueError(f'{source}: {name} {trouble}; fetch the file again, in floating point')
    guide.load_state_dict(dict(tensors))
