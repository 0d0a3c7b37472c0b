"""What is measured: one CLIP of random weights, which cost what its own cost; words, photos; in how many rounds."""

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmseg_clipsurgery import scenes
from mmseg_clipsurgery.api.encoders import Encoders
from mmseg_clipsurgery.api.images import read_image
from mmseg_clipsurgery.api.input_sizes import with_short_side
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.api.opencv import resize
from mmseg_clipsurgery.clip.position_table import resize_position_table
from mmseg_clipsurgery.inference.predictor import Predictor
from mmseg_clipsurgery.structures import ImageTokens, TextQueries

import torch
from torch import Tensor, nn

PLAIN = "open_clip's own forward"
VOC_PHOTO = (375, 500)  # VOC's most frequent size
PROTOCOL = dict(mode='slide', crop_size=224, stride=112, logit_scale=65.0, prob_thd=0.1, area_thd=0.1)


@dataclass(frozen=True)
class Workload:
    """Towers, words, photos; what is heavy is made when it is first asked for."""

    arch: str | Mapping[str, Any]  # an open_clip model name or a dict in the form of its model JSON
    device: torch.device  # where everything is
    folder: Path | None = None  # of photos, in VOC layout; None: the embedded scenes
    rounds: int = 15  # of interleaved variants
    quick: bool = False  # only see whether it runs

    def __reduce__(self) -> tuple:  # without what is heavy
        return Workload, (self.arch, self.device, self.folder, self.rounds, self.quick)

    @property
    def few(self) -> int:
        """Rounds where one takes minutes."""
        return max(1, self.rounds // 3)

    def size(self, usual: int, quick: int) -> int:
        """A size, smaller where the run is quick."""
        return quick if self.quick else usual

    @functools.cached_property
    def files(self) -> list[Path]:
        """The photos. Raises FileNotFoundError where the folder has no list of them."""
        root, suffix = (self.folder.resolve(), '.jpg') if self.folder else (scenes.ensure(), '.png')
        listed = 'ImageSets/Segmentation/val.txt'
        if not (root / listed).is_file():
            raise FileNotFoundError(f'--photos {self.folder} has no {listed}; give a VOC folder')
        return [root / 'JPEGImages' / f'{name}{suffix}' for name in (root / listed).read_text().split()]

    def image(self, number: int, size: tuple[int, int] | None = None) -> Tensor:
        """A photo as the towers take it, "1 3 H W", of a size (H, W) or, without one, with a short side of 336."""
        pixels = read_image(self.files[number % len(self.files)])
        pixels = resize(pixels, size) if size else with_short_side(pixels, 336, self.tower.patch)
        return self.encoders.normalized(pixels)[None]

    @functools.cached_property
    def encoders(self) -> Encoders:
        """Both towers, as the Python interface holds them."""
        return self.built('photo', cache=False)

    def built(self, templates: str | Sequence[str], cache: str | bool) -> Encoders:
        """Both towers anew, with the same weights in every process."""
        torch.manual_seed(0)
        with torch.inference_mode(False):
            model = load(self.arch, 'random', templates=templates, text_cache=cache, batch=16)
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
    batch, _, *grid = tokens.patch_tokens.shape
    return 0.05 * torch.randn(batch, len(queries.embeddings), *grid, device=tokens.patch_tokens.device)
