"""What is measured: one CLIP of random weights, words, photos, and in how many rounds.

CLIP's own weights come from a hub; random ones (seeded) cost the same, and their labels mean nothing. Words are the
shipped vocabularies, encoded by the text tower of the same weights. Photos are those of a folder in VOC layout, or the
embedded scenes.
"""

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from mmseg_clipsurgery import scenes
from mmseg_clipsurgery.api.encoders import Encoders
from mmseg_clipsurgery.api.images import read_image
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.clip.position_table import resize_position_table
from mmseg_clipsurgery.inference.predictor import Predictor
from mmseg_clipsurgery.inference.windows import windows_of
from mmseg_clipsurgery.structures import ImageTokens, TextQueries

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .measure import Call, Measured, measure

PLAIN = "open_clip's own forward"
VOC_PHOTO = (375, 500)  # VOC's most frequent size
PROTOCOL = dict(mode='slide', crop_size=224, stride=112, logit_scale=65.0, prob_thd=0.1, area_thd=0.1)


@dataclass(frozen=True)
class Workload:
    """Towers, words, photos; what is heavy is made when it is first asked for, in each process anew.

    Args:
        arch: an open_clip model name or a dict in the form of its model JSON.
        device: where everything is.
        folder: in VOC layout; None: the embedded scenes.
        rounds: of interleaved variants.
        quick: only see whether it runs.
    """

    arch: str | Mapping[str, Any]
    device: torch.device
    folder: Path | None = None
    rounds: int = 15
    quick: bool = False

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def size(self, usual: int, quick: int) -> int:
        """A size, smaller where the run is quick."""
        return quick if self.quick else usual

    @property
    def few(self) -> int:
        """Rounds where one takes minutes."""
        return max(1, self.rounds // 3)

    def measure(self, variants: Mapping[str, Call], rounds: int | None = None) -> Measured:
        """As `measure.measure`, on the workload's device."""
        return measure(variants, rounds or self.rounds, self.device)

    @functools.cached_property
    def files(self) -> list[Path]:
        """The photos. Raises FileNotFoundError where the folder has no list of them."""
        root = scenes.ensure() if self.folder is None else self.folder.resolve()
        listed = root / 'ImageSets' / 'Segmentation' / 'val.txt'
        if not listed.is_file():
            raise FileNotFoundError(
                f'--photos {self.folder} has no {listed.relative_to(root)}; give a VOC folder'
            )
        suffix = '.jpg' if self.folder else '.png'
        return [root / 'JPEGImages' / f'{name}{suffix}' for name in listed.read_text().split()]

    def photo(self, number: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """A photo "H W 3" uint8, resized to (H, W); behind the last one it begins anew."""
        pixels = read_image(self.files[number % len(self.files)])
        return pixels if size is None else np.asarray(Image.fromarray(pixels).resize(size[::-1]))

    def image(self, number: int, size: tuple[int, int] | None = None) -> Tensor:
        """A photo as the towers take it: "3 H W", normalised."""
        return self.encoders.normalized(self.photo(number, size))

    @functools.cached_property
    def encoders(self) -> Encoders:
        """Both towers, as the Python interface holds them."""
        return self.built('photo', text_cache=False)

    def built(self, templates: str | Sequence[str], text_cache: str | bool) -> Encoders:
        """Both towers anew, with the same weights in every process."""
        torch.manual_seed(0)
        with torch.inference_mode(False):
            model = load(self.arch, templates=templates, text_cache=text_cache, batch=16)
            return model.to(self.device).encoders

    @property
    def tower(self) -> Any:
        """The image tower, under CLIP Surgery."""
        return self.encoders.tower

    def plain(self, size: tuple[int, int]) -> nn.Module:
        """open_clip's own tower, with the same weights and its position table made for one size (H, W)."""
        made, tower = copy.deepcopy(self.tower.visual), self.tower
        table, grids = made.positional_embedding.detach(), (tower.trained_grid, tower.grid_of(size))
        made.positional_embedding = nn.Parameter(resize_position_table(table, *grids, tower.surgery.position))
        return made

    def predictor(self, noise: bool = False, **settings: Any) -> Predictor:
        """A predictor of whole images, unless the settings say more; noise: its logits are white noise."""
        predictor = self.encoders.predictor(0.0, **{'mode': 'whole', **settings})
        return replace(predictor, similarity=noise_logits) if noise else predictor


def noise_logits(tokens: ImageTokens, queries: TextQueries) -> Tensor:
    """White noise "b q h w" in place of a similarity; it spreads far more than CLIP's cosines."""
    batch, _, height, width = tokens.patch_tokens.shape
    shape = batch, len(queries.embeddings), height, width
    return 0.05 * torch.randn(shape, device=tokens.patch_tokens.device)


def windows_cut(image: Tensor) -> Tensor:
    """The windows "b 3 224 224" of an image "3 H W", every 112 pixels, for the plain tower."""
    rows, columns = windows_of(tuple(image.shape[1:]), (224, 224), (112, 112))
    return torch.stack([image[:, slice(*row), slice(*column)] for row in rows for column in columns])
