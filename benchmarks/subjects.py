"""What is measured: towers, words, photos.

CLIP's weights come from a hub, so the towers here have random weights (seeded): their cost is that of the
real ones, their labels mean nothing. Words are the shipped vocabularies, encoded by the text tower of the
same weights. Photos are those of a folder in VOC layout, or the embedded scenes.
"""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmseg_clipsurgery import scenes
from mmseg_clipsurgery.clip.position_table import resize_position_table
from mmseg_clipsurgery.clip.text_encoder import OpenCLIPTextEncoder
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.models.segmentor import CLIPSurgerySegmentor
from mmseg_clipsurgery.structures import ImageTokens, TextQueries
from mmseg_clipsurgery.vocabulary import Vocabulary

import cv2
import numpy as np
import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

SEED = 0
TEMPLATE = 'a photo of a {}.'


class Photos:
    """Photos of a folder in VOC layout, as MMSeg loads them: "H W 3" uint8, BGR.

    Args:
        root: has ImageSets/Segmentation/<split>.txt and JPEGImages; None: the embedded scenes.

    Raises:
        FileNotFoundError: the folder has no such list.
    """

    def __init__(self, root: str | os.PathLike | None):
        self.real = root is not None
        self.root = Path(root).resolve() if root is not None else scenes.ensure()
        listed = self.root / 'ImageSets' / 'Segmentation' / 'val.txt'
        if not listed.is_file():
            raise FileNotFoundError(
                f'--photos {root} has no {listed.relative_to(self.root)}; give a VOC folder'
            )
        self.names = listed.read_text().split()
        self.suffix = '.jpg' if self.real else '.png'

    def __len__(self) -> int:
        return len(self.names)

    @property
    def kind(self) -> str:
        return f'{len(self)} photos of PASCAL VOC 2012 val' if self.real else f'{len(self)} embedded scenes'

    def __getitem__(self, index: int) -> np.ndarray:
        path = self.root / 'JPEGImages' / f'{self.names[index % len(self)]}{self.suffix}'
        return cv2.imread(str(path), cv2.IMREAD_COLOR)

    @cached_property
    def landscape(self) -> list[int]:
        """Indices of the photos of 3:4, VOC's most frequent shape; scenes are taken as they are."""
        if not self.real:
            return list(range(len(self)))
        return [i for i in range(len(self)) if self[i].shape[:2] == (375, 500)] or list(range(len(self)))


def pixels(photo: np.ndarray, size: tuple[int, int]) -> Tensor:
    """A photo "H W 3" resized to (H, W): "3 H W", uint8."""
    resized = cv2.resize(photo, size[::-1], interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(resized).permute(2, 0, 1).contiguous()


class Words(BaseModule):
    """Stands where a segmentor has its text encoder: text queries that are there already."""

    def __init__(self, vocabulary: Vocabulary, queries: TextQueries):
        super().__init__()
        self.vocabulary = vocabulary
        self.queries = queries

    def forward(self) -> TextQueries:
        return self.queries


class NoiseHead(BaseModule):
    """Stands where a segmentor has its head: logits are white noise, the worst case of every short cut."""

    needs_class_token = False
    threshold = 0.0
    num_classes = None
    one_word = False
    spread = 0.05  # of cosines that differ far more than CLIP's

    def __init__(self):
        super().__init__()
        self.kept: dict[tuple[int, ...], Tensor] = {}

    def forward(self, tokens: ImageTokens, queries: TextQueries) -> Tensor:
        batch, _, *grid = tokens.patch_tokens.shape
        shape = (batch, len(queries.embeddings), *grid)
        if shape not in self.kept:
            random = torch.Generator().manual_seed(SEED)
            noise = self.spread * torch.randn(shape, generator=random)
            self.kept[shape] = noise.to(tokens.patch_tokens.device)
        return self.kept[shape]


def given(module: nn.Module) -> nn.Module:
    """A module that is built already, where a config wants something to build."""
    return module


@dataclass
class Subjects:
    """Towers and words of one architecture, made once and shared.

    Attributes:
        arch: an open_clip model name or a dict in the form of its model JSON.
        device: where everything is.
        photos: see `Photos`.
    """

    arch: str | Mapping[str, Any]
    device: torch.device
    photos: Photos

    @cached_property
    def tower(self) -> CLIPSurgeryViT:
        torch.manual_seed(SEED)
        return CLIPSurgeryViT(self.arch, None, 'clip_surgery').to(self.device)

    @cached_property
    def text(self) -> OpenCLIPTextEncoder:
        torch.manual_seed(SEED)
        return OpenCLIPTextEncoder(self.arch, None, templates=[TEMPLATE], text_cache=False).to(self.device)

    def plain(self, size: tuple[int, int]) -> nn.Module:
        """open_clip's own tower, with the same weights and its position table made for one size (H, W)."""
        made = copy.deepcopy(self.tower.visual)
        grid = (size[0] // self.tower.patch, size[1] // self.tower.patch)
        table = resize_position_table(
            made.positional_embedding.detach(), self.tower.trained_grid, grid, self.tower.surgery.position
        )
        made.positional_embedding = nn.Parameter(table)
        return made

    def words(self, vocabulary: str) -> Words:
        with torch.inference_mode():
            return Words(Vocabulary.read(vocabulary), self.text(vocabulary))

    def segmentor(self, vocabulary: str, noise: bool = False, **test_cfg: Any) -> CLIPSurgerySegmentor:
        """A segmentor of the shared tower; with noise, its logits are replaced by white noise."""
        head = dict(decode_head=dict(type=given, module=NoiseHead())) if noise else {}
        model = MODELS.build(
            dict(
                type='CLIPSurgerySegmentor',
                backbone=dict(type=given, module=self.tower),
                text_encoder=dict(type=given, module=self.words(vocabulary)),
                test_cfg=test_cfg,
                **head,
            )
        )
        return model.to(self.device)

    def normalised(self, photo: np.ndarray, size: tuple[int, int]) -> Tensor:
        """A photo "H W 3" as the tower wants it: "3 H W" fp32, RGB, on the device."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.tower.mean, self.tower.std))
        image = (pixels(photo, size).flip(0).float() / 255 - mean) / std
        return image.to(self.device)


def indices(photos: Photos, count: int, chosen: Sequence[int] | None = None) -> list[int]:
    """`count` indices of photos, evenly among the chosen ones."""
    chosen = chosen if chosen is not None else range(len(photos))
    return [chosen[(i * len(chosen)) // count] for i in range(count)]
