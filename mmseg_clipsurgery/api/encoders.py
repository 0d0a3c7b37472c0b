"""Photos and words -> tokens and queries: CLIP's two towers as the tasks of `api.model` use them.

    pixels "H W 3" -> resized (`input_sizes`) -> normalised -> image tower under a surgery -> ImageTokens

Models under other surgeries share the towers: a surgery is an argument of the tower's call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..clip.logit_scale import own_logit_bias, own_logit_scale
from ..clip.text_encoder import OpenCLIPTextEncoder
from ..clip.tower import ImageTower
from ..compatibility import check_has_guide, reads_guide
from ..environment.numbers import check_count
from ..explainers.explainer import Explainer, check_explainer
from ..inference.normalization import Statistics, normalize_image, tower_statistics
from ..inference.precision import TowerRunner
from ..inference.predictor import Predictor
from ..inference.settings import InferenceSettings
from ..recognition import pair_probability, word_presence
from ..similarity import grid_logits
from ..structures import ImageTokens, TextQueries
from ..surgery import Surgery
from .input_sizes import InputSizes, Size, whole_patches
from .pixels import Pixels

Read = TypeVar('Read')
MOST_IN_BATCH = 65_536


@dataclass(frozen=True, eq=False)
class Encoders:
    """Both towers of one CLIP, and how they are used.

    Args:
        tower: the image tower.
        text: the text encoder, without a vocabulary of its own.
        surgery: one that the tower accepts.
        sizes: how large photos are given to the tower.
        batch: photos of one size, or windows, that the tower takes at once.
        guide: a second tower, for surgeries that read its features.

    Raises:
        ValueError: `batch` below one, or a surgery that reads a second tower where there is none.
    """

    tower: ImageTower
    text: OpenCLIPTextEncoder
    surgery: Surgery
    sizes: InputSizes
    batch: int
    guide: nn.Module | None = None

    def __post_init__(self) -> None:
        check_count('batch', self.batch, most=MOST_IN_BATCH)
        check_has_guide(self.guide, self.surgery)

    def with_surgery(self, surgery: str | Mapping | Surgery) -> 'Encoders':
        """The same towers under another surgery. Raises ValueError for one that the image tower does not accept."""
        return replace(self, surgery=self.tower.accepts(surgery))

    @property
    def logit_scale(self) -> float:
        """What the CLIP's own training multiplied cosines by."""
        return own_logit_scale(self.text.source.weights)

    def presence(self, tokens: ImageTokens, queries: TextQueries, logit_scale: float | None = None) -> Tensor:
        """Each class by itself in one photo, "k" in [0, 1]: `pair_probability` where the CLIP was trained by it, as a
        SigLIP is, else `word_presence`.

        Args:
            tokens: of the photo.
            queries: embedded words.
            logit_scale: in place of the model's own.

        Raises:
            ValueError: a file of such a CLIP lacks its bias.
        """
        scale = self.logit_scale if logit_scale is None else logit_scale
        source = self.text.source
        bias = own_logit_bias(source.weights)
        if bias is None and source.weights is not None and 'init_logit_bias' in source.config:
            raise ValueError(
                f'{source.weights} has no logit_bias, without which {source.label} gives no probability of a word; '
                'give the whole file'
            )
        if bias is not None:
            return pair_probability(tokens.cls_token, queries, scale, bias)[0]
        empty = self.text.embed_words(['']) if queries.empty is None else queries.empty
        return word_presence(tokens.cls_token, queries, empty, scale)[0]

    @property
    def device(self) -> torch.device:
        """Where the image tower is."""
        return next(self.tower.parameters()).device

    def tower_input(self, task: str, size: Size) -> Size:
        """The size (height, width) at which the tower takes a photo of a size, see `InputSizes.tower_input`."""
        return self.sizes.tower_input(task, size, self.tower.patch)

    def normalized(self, pixels: Pixels) -> Tensor:
        """Pixels "H W 3" -> "3 H W" fp32, normalised, on the tower's device."""
        image = torch.tensor(pixels).movedim(2, 0)  # a copy: pixels may be read-only
        return normalize_image(image.to(self.device), Statistics.of(**tower_statistics(self.tower)))

    @torch.no_grad()
    def tokens(self, pixels: Sequence[Pixels], short_side: int | None) -> list[ImageTokens]:
        """Tokens of whole photos; photos of equal size share a batch.

        Args:
            pixels: each "H W 3".
            short_side: in pixels, about which each is resized to; None: its own size.

        Returns:
            For each photo its class token "1 c" and patch tokens "1 c h w".
        """

        def read(images: Tensor) -> list[ImageTokens]:
            tokens = self.tower(images, surgery=self.surgery, guide=self.guide_features(images, self.surgery))
            assert tokens.cls_token is not None
            return [
                ImageTokens(first[None], patches[None])
                for first, patches in zip(tokens.cls_token, tokens.patch_tokens, strict=True)
            ]

        return self.in_batches(pixels, short_side, read)

    @torch.no_grad()
    def explained(
        self, pixels: Sequence[Pixels], short_side: int | None, explainer: Explainer, queries: TextQueries
    ) -> list[Tensor]:
        """Maps of whole photos by an explainer; photos of equal size share a batch.

        Args:
            pixels, short_side: as for `tokens`.
            explainer: one that `check_explainer` accepts.
            queries: embedded words.

        Returns:
            For each photo "q h w".
        """

        def read(images: Tensor) -> list[Tensor]:
            guide = None if explainer.surgery is None else self.guide_features(images, explainer.surgery)
            return list(explainer(self.tower, images, queries.embeddings, queries.empty, guide))

        return self.in_batches(pixels, short_side, read)

    def in_batches(
        self, pixels: Sequence[Pixels], short_side: int | None, read: Callable[[Tensor], list[Read]]
    ) -> list[Read]:
        """What is read of whole photos; photos of equal size share a batch.

        Args:
            pixels, short_side: as for `tokens`.
            read: from images "b 3 H W" to a list with one entry for each.
        """
        fitted = [whole_patches(photo, short_side, self.tower.patch) for photo in pixels]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, photo in enumerate(fitted):
            by_size.setdefault(photo.shape, []).append(index)
        found: dict[int, Read] = {}
        for same_size in by_size.values():
            for start in range(0, len(same_size), self.batch):
                part = same_size[start : start + self.batch]
                images = torch.stack([self.normalized(fitted[index]) for index in part])
                found.update(zip(part, read(images), strict=True))
        return [found[index] for index in range(len(fitted))]

    @torch.no_grad()
    def batch_keeps_bits(self, batch: int) -> bool:
        """Whether patch tokens of a batch are those of single images to the bit; tried with noise, on this machine.

        Args:
            batch: images.

        So it is of ViTs on x86 with MKL: each sum is over one row, in one order. ResNets' convolutions choose another
        order for a single image.
        """
        sides = [side * self.tower.patch for side in self.tower.trained_grid]
        images = torch.rand(batch, 3, *sides, generator=torch.Generator().manual_seed(0)).to(self.device)

        def read(part: Tensor) -> Tensor:
            guide = self.guide_features(part, self.surgery)
            return self.tower(part, class_token=False, surgery=self.surgery, guide=guide).patch_tokens

        together = read(images)
        return all(torch.equal(together[k : k + 1], read(images[k : k + 1])) for k in (0, batch - 1))

    def guide_features(self, images: Tensor, surgery: Surgery) -> Tensor | None:
        """The second tower's features "b c h w" of images "b 3 H W"; None where the surgery reads none."""
        if self.guide is None or not reads_guide(surgery):
            return None
        return TowerRunner().guide_features(self.guide, self.tower, images)

    def check(self, explainer: Explainer) -> None:
        """Refuse an explainer that these towers don't fit. Raises ValueError."""
        check_explainer(explainer, self.tower)
        if explainer.surgery is not None:
            check_has_guide(self.guide, explainer.surgery)

    def predictor(self, threshold: float, **settings: Any) -> Predictor:
        """A predictor by plain cosine.

        Args:
            threshold: what a pixel's similarity must exceed for one word alone.
            **settings: those of `InferenceSettings` that are not decided by `sizes` and `batch`.

        Raises:
            ValueError: settings that are out of range.
        """
        windows = {**self.sizes.inference(), 'window_batch': self.batch}
        checked = InferenceSettings.read({**windows, **settings}, self.tower.patch)
        runner = TowerRunner(checked.precision, checked.compiled)
        return Predictor(
            self.tower, grid_logits, checked, runner, threshold, surgery=self.surgery, guide=self.guide
        )
