"""From images and text queries to labels, class scores and class maps: a recipe over the other files of this folder.

    images -> windows -> tower [-> once more, with feedback] -> similarity (x text queries)     [an explainer beside]
    -> tiled logits, one an image -> flip undone -> resized to the original -> PAMR
    -> class scores -> thresholds -> labels "1 H W"

The order is that of the public leaderboard (SCLIP's evaluation code and its heirs); it is tested. A predictor only
refers to its parts: it copies nothing, owns no weights and is cheap to make.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..compatibility import check_guide_windows, reads_guide
from ..environment.numbers import check_number
from ..explainers.table import explainer_named
from ..methods.same_label import SameLabelFeedback
from ..refine import pamr
from ..structures import ImageTokens, TextQueries
from ..surgery import Surgery
from .explained_maps import explained_logits
from .postprocess import PostProcess
from .precision import TowerRunner, without_autocast
from .settings import InferenceSettings
from .tiled_logits import DenseLogits, Size, TiledLogits
from .windows import window_logits_of_many

DROPPED = -1e4  # logit of a dropped query: zero after a softmax, and finite in half precision


class Prediction(NamedTuple):
    """What is predicted of one image, at its original size.

    Attributes:
        labels: "1 H W", int64, indices of classes; for one word 1 where it is, 0 elsewhere.
        scores: class scores "k H W" in [0, 1] before thresholds; for one word "1 H W", its single-text similarity.
            None unless `settings.scores`.
        maps: class similarities "k H W" before scale and softmax. None unless `settings.maps`.
    """

    labels: Tensor
    scores: Tensor | None
    maps: Tensor | None


@dataclass(frozen=True, eq=False)
class Predictor:
    """The one way from images to labels, for MMSeg's segmentor, the Python interface and whoever else needs it.

    Args:
        tower: an image tower of `clip.towers`.
        similarity: (image tokens, text queries) -> logits on the patch grid "b q h w"; such as
            `similarity.grid_logits`.
        settings: windows, thresholds, refinement, and what is returned.
        runner: runs the tower, in the settings' precision.
        threshold: what a pixel's similarity must exceed where there is one word.
        class_token: whether the similarity uses the class token.
        surgery: another than the tower's own.
        guide: a second tower, for surgeries that read its features.
        whole_image: the class token that the similarity sees is that of the whole image, not of the window.

    Raises:
        ValueError: the threshold is no finite number, or windows end within a patch of the second tower.
    """

    tower: nn.Module
    similarity: Callable[[ImageTokens, TextQueries], Tensor]
    settings: InferenceSettings
    runner: TowerRunner
    threshold: float = 0.0
    class_token: bool = False
    surgery: Surgery | None = None
    guide: nn.Module | None = None
    whole_image: bool = False

    def __post_init__(self) -> None:
        check_number('threshold', self.threshold)
        if self.guide is not None and reads_guide(self.surgery or self.tower.surgery):
            (crop, _), patch = self.settings.windows, self.tower.patch
            check_guide_windows(self.guide, patch, crop, self.settings.pad_to(patch))

    @torch.no_grad()
    def predict(
        self,
        images: Sequence[Tensor],
        queries: TextQueries,
        sizes: Sequence[Size] | None = None,
        flips: Sequence[tuple[int, ...]] | None = None,
        keep: Sequence[Tensor | None] | None = None,
    ) -> list[Prediction]:
        """Predict each image.

        Args:
            images: each "3 H W", normalised, of any sizes.
            queries: embedded words; with `empty`, there is one word.
            sizes: original (H, W) of each image in pixels; None: as they are.
            flips: dimensions of "c H W" along which each image was mirrored; None: none was.
            keep: queries "q", bool, that each image may have, None for all; dropped ones score 0. None: all.

        Returns:
            One prediction for each image, of normal tensors: a caller may write into them.
        """
        logits, explained = self.logits(images, queries, keep), self.explained(images, queries)
        return self.predictions(logits, images, queries, sizes, flips, explained)

    @torch.no_grad()
    def predictions(
        self,
        all_logits: Sequence[TiledLogits],
        images: Sequence[Tensor],
        queries: TextQueries,
        sizes: Sequence[Size] | None = None,
        flips: Sequence[tuple[int, ...]] | None = None,
        explained: Sequence[TiledLogits] | None = None,
    ) -> list[Prediction]:
        """What `predict` returns, from the images' logits at their own sizes.

        Args:
            all_logits: of each image.
            images, queries, sizes, flips: as `predict`.
            explained: what class maps are made of; None: the logits.
        """
        rule = self.post_process(queries)
        sizes = [logits.size for logits in all_logits] if sizes is None else sizes
        flips = [()] * len(images) if flips is None else flips
        with without_autocast(queries.class_of.device.type):
            originals = drawn = [
                self._original(*parts) for parts in zip(all_logits, images, sizes, flips, strict=True)
            ]
            if explained is not None:
                drawn = [
                    self._original(*parts) for parts in zip(explained, images, sizes, flips, strict=True)
                ]
            return [
                self._prediction(*parts, rule, one_word=queries.empty is not None)
                for parts in zip(originals, drawn, strict=True)
            ]

    @torch.no_grad()
    def logits(
        self, images: Sequence[Tensor], queries: TextQueries, keep: Sequence[Tensor | None] | None = None
    ) -> list[TiledLogits]:
        """Logits of each image at its own size, averaged over windows; arguments as `predict`."""
        whole, feedback = self.whole_class_tokens(images), self.feedback(queries)

        def grids_of(windows: Tensor, of: list[int]) -> list[Tensor]:
            guide, class_token = self.guide_features(windows), self.class_token and whole is None
            tokens = self.runner(self.tower, windows, class_token, self.surgery, guide, feedback)
            return [self.grid_logits(tokens, queries, None if whole is None else whole[of])]

        crop, stride = self.settings.windows
        batch, pad_to = self.settings.window_batch, self.settings.pad_to(self.tower.patch)
        found = [logits for (logits,) in window_logits_of_many(images, grids_of, crop, stride, batch, pad_to)]
        return found if keep is None else without_dropped(found, keep)

    @torch.no_grad()
    def explained(self, images: Sequence[Tensor], queries: TextQueries) -> list[TiledLogits] | None:
        """Maps of each image at its own size by the settings' explainer; None where there is none."""
        name = self.settings.explainer
        return None if name is None else self.explained_by([name], images, queries)[name]

    @torch.no_grad()
    def explained_by(
        self, names: Iterable[str], images: Sequence[Tensor], queries: TextQueries
    ) -> dict[str, list[TiledLogits]]:
        """Maps of each image at its own size by each of some explainers, in one pass."""
        rows = {name: explainer_named(name) for name in names}
        batch, guide = self.settings.window_batch, self._features_of_guide
        return explained_logits(rows, self.tower, self.runner, images, queries, batch, guide)

    @torch.no_grad()
    def dense_logits(self, images: Sequence[Tensor], queries: TextQueries) -> list[Tensor]:
        """As `logits`, every pixel of each image at once: "q H W" each."""
        found = self.logits(images, queries)
        with without_autocast(queries.class_of.device.type):
            return [logits.full() for logits in found]

    @torch.no_grad()
    def original_logits(self, image: Tensor, queries: TextQueries, size: Size) -> Tensor:
        """Logits "H W q" of an image "3 h w" at its original size (H, W), refined where the settings say so."""
        (tiled,) = self.logits([image], queries)
        with without_autocast(queries.class_of.device.type):
            chunks = self._original(tiled, image, size, ()).row_chunks(self.settings.chunk_memory)
            return torch.cat([chunk.clone() for _, chunk in chunks])

    def grid_logits(self, tokens: ImageTokens, queries: TextQueries, whole: Tensor | None) -> Tensor:
        """Logits "b q gh gw" of windows' tokens, of the queries that are asked for.

        Args:
            tokens: of windows.
            queries: embedded words.
            whole: class tokens "b c" in place of the windows' own.
        """
        logits = self.similarity(tokens if whole is None else tokens._replace(cls_token=whole), queries)
        return logits if queries.asked is None else logits[:, queries.asked]

    def guide_features(self, windows: Tensor) -> Tensor | None:
        """The second tower's features "b c h w" of windows "b 3 H W"; None where the surgery reads none."""
        if self.guide is None or not reads_guide(self.surgery or self.tower.surgery):
            return None
        return self._features_of_guide(windows)

    def _features_of_guide(self, windows: Tensor) -> Tensor | None:
        """The second tower's features "b c h w" of windows "b 3 H W"; None where there is none."""
        return None if self.guide is None else self.runner.guide_features(self.guide, self.tower, windows)

    def feedback(self, queries: TextQueries) -> SameLabelFeedback | None:
        """What makes a second reading's bias of a first one; None where windows are read once."""
        if self.settings.feedback is None:
            return None
        return SameLabelFeedback(queries.embeddings, self.settings.logit_scale, **self.settings.feedback)

    def whole_class_tokens(self, images: Sequence[Tensor]) -> Tensor | None:
        """Class tokens "i c" of whole images; None where the windows' own serve, or the windows are the images."""
        if not self.whole_image or self.settings.windows[0] is None or not images:
            return None
        found = []
        for image in images:
            guide = self.guide_features(image[None])
            found.append(self.runner(self.tower, image[None], True, self.surgery, guide).cls_token)
        return torch.cat(found)

    def _original(
        self, tiled: TiledLogits, image: Tensor, size: Size, flip: tuple[int, ...]
    ) -> TiledLogits | DenseLogits:
        """Logits of one image as it was before the pipeline: flip undone, resized, refined."""
        tiled = tiled.flipped(flip).resized(size)
        if self.settings.pamr is None:
            return tiled
        guide = F.interpolate(image.flip(flip)[None].float(), size=tiled.size, mode='bilinear')
        refined = pamr(guide, tiled.full()[None], **self.settings.pamr)[0]
        return DenseLogits(refined.permute(1, 2, 0).contiguous())

    def _prediction(
        self,
        logits: TiledLogits | DenseLogits,
        drawn: TiledLogits | DenseLogits,
        rule: PostProcess,
        one_word: bool,
    ) -> Prediction:
        """What the settings ask for, from logits and what class maps are made of, both at the original size."""
        settings, scores = self.settings, None
        if settings.scores or one_word:
            # One word has a single score: its similarity, as it is.
            scores = self._class_maps(logits, rule.over_classes if one_word else rule.class_scores, rule)
            labels = self.labels(scores)
        else:
            labels = rule.label_logits(logits, settings.chunk_memory)[None]
        maps = self._class_maps(drawn, rule.over_classes, rule) if settings.maps else None
        return Prediction(labels, scores if settings.scores else None, maps)

    def _class_maps(
        self, logits: TiledLogits | DenseLogits, to_classes: Callable[[Tensor], Tensor], rule: PostProcess
    ) -> Tensor:
        """A map of each class, "k H W" fp32, drawn row chunk by row chunk.

        Args:
            logits: of the image.
            to_classes: from a chunk's logits "r W q" to "r W k".
            rule: how many classes there are.
        """
        maps = torch.empty(rule.num_classes, *logits.size, dtype=torch.float32, device=rule.class_of.device)
        for rows, chunk in logits.row_chunks(self.settings.chunk_memory):
            maps[:, rows] = to_classes(chunk).permute(2, 0, 1)
        return maps

    def post_process(self, queries: TextQueries) -> PostProcess:
        """How logits of these queries become labels; where some are asked for, of their classes, counted anew."""
        settings, class_of = self.settings, queries.class_of
        if queries.asked is not None:
            class_of = class_of[queries.asked].unique(return_inverse=True)[1]
        return PostProcess(class_of, settings.logit_scale, settings.prob_thd, settings.area_thd)

    def labels(self, scores: Tensor) -> Tensor:
        """Class scores "k H W" -> labels "1 H W"; one word: 1 where its similarity exceeds the threshold."""
        if len(scores) == 1:
            return (scores > self.threshold).long()
        rule = PostProcess(torch.arange(len(scores)), 1.0, self.settings.prob_thd, self.settings.area_thd)
        return rule.label_scores(scores)[None]


def without_dropped(logits: Sequence[TiledLogits], keep: Sequence[Tensor | None]) -> list[TiledLogits]:
    """Logits of each image with those of dropped queries at `DROPPED`; `keep` as in `Predictor.predict`."""
    return [
        of_image if kept is None else replace(of_image, tiles=of_image.tiles.masked_fill(~kept, DROPPED))
        for of_image, kept in zip(logits, keep, strict=True)
    ]
