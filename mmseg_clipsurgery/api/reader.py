"""Photos and words -> tokens, queries and maps: what the tasks of `api` share.

pixels "H W 3" -> resized (`views`) -> normalised by the segmentor's preprocessor -> tower -> ImageTokens
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..clip.checkpoints import own_logit_scale
from ..clip.text_encoder import OpenCLIPTextEncoder
from ..clip.tower import ImageTower
from ..inference.settings import InferenceSettings, check_thresholds
from ..models.head import SurgeryHead
from ..models.segmentor import CLIPSurgerySegmentor
from ..recognition import word_presence
from ..similarity import feature_surgery, normalize, single_text_surgery
from ..structures import ImageTokens, TextQueries
from ..surgery import Surgery
from ..vocabulary import Vocabulary
from .images import Pixels
from .input_sizes import InputSizes, whole_patches, with_short_side

ABSENT = -1e4  # logit of a dropped word: nothing after a softmax, and finite in half precision


class Reader:
    """A segmentor's parts, for photos and words that come with each call.

    Args:
        segmentor: without a vocabulary of its own.
        views: how large photos are read.
        batch: photos of one size that are read at once.
    """

    def __init__(self, segmentor: CLIPSurgerySegmentor, views: InputSizes, batch: int):
        if batch < 1:
            raise ValueError(f'batch must be at least 1, got {batch}')
        self.segmentor, self.views, self.batch = segmentor, views, batch

    @property
    def backbone(self) -> ImageTower:
        return self.segmentor.backbone

    @property
    def text_encoder(self) -> OpenCLIPTextEncoder:
        return self.segmentor.text_encoder

    @property
    def logit_scale(self) -> float:
        """What the model's own training multiplied cosines by."""
        return own_logit_scale(self.text_encoder.source.weights)

    def normalised(self, pixels: Pixels) -> Tensor:
        """Pixels "H W 3" (RGB) -> "3 H W", on the towers' device."""
        bgr = torch.from_numpy(pixels[..., ::-1].copy()).movedim(2, 0)
        device = next(self.backbone.parameters()).device
        return self.segmentor.data_preprocessor.normalize(bgr.to(device))

    @torch.inference_mode()
    def tokens(self, pixels: Sequence[Pixels], short_side: int | None) -> list[ImageTokens]:
        """Tokens of each photo, read whole: class token "1 c", patch tokens "1 c h w"; equal sizes share a batch."""
        fitted = [whole_patches(one, short_side, self.backbone.patch) for one in pixels]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, one in enumerate(fitted):
            by_size.setdefault(one.shape, []).append(index)
        found: dict[int, ImageTokens] = {}
        for same in by_size.values():
            for start in range(0, len(same), self.batch):
                part = same[start : start + self.batch]
                read = self.backbone(torch.stack([self.normalised(fitted[index]) for index in part]))
                for row, index in enumerate(part):
                    found[index] = ImageTokens(read.cls_token[row, None], read.patch_tokens[row, None])
        return [found[index] for index in range(len(fitted))]

    def present(
        self,
        pixels: Sequence[Pixels],
        vocabulary: Vocabulary,
        queries: TextQueries,
        min_presence: float | None,
    ) -> list[Tensor | None]:
        """Which classes of each photo are kept, "k" bool, None for all: see `SurgeryModel.segment` for the rule.

        Raises:
            ValueError: a probability outside [0, 1].
        """
        if min_presence is None:
            return [None] * len(pixels)
        if not 0 <= min_presence <= 1:
            raise ValueError(f'min_presence is a probability, in [0, 1], got {min_presence}')
        empty = self.text_encoder.embed_words([''])
        kept: list[Tensor | None] = []
        for tokens in self.tokens(pixels, self.views.recognise):
            presence = word_presence(tokens.cls_token, queries, empty, self.logit_scale)[0]
            keep = presence >= min_presence
            keep[int(vocabulary.has_background) :][presence[int(vocabulary.has_background) :].argmax()] = True
            keep[: int(vocabulary.has_background)] = True
            kept.append(keep)
        return kept

    def text_maps(self, tokens: ImageTokens, texts: Sequence[str], among: Vocabulary | None) -> Tensor:
        """Similarity of each text "t h w": against the empty string, or by feature surgery among other words."""
        patches = normalize(tokens.patch_tokens.float().flatten(2).transpose(1, 2))
        if among is None:
            *_, empty = embedded = self.text_encoder.embed_words([*texts, ''])
            maps = single_text_surgery(patches, embedded[:-1], empty[None])
        else:
            words = [*texts, *(word for word in among.queries if word not in texts)]
            embedded = self.text_encoder.embed_words(words)
            assert tokens.cls_token is not None
            cls = normalize(tokens.cls_token.float())
            maps = feature_surgery(cls, patches, embedded, 'released')[..., : len(texts)]
        return maps[0].T.unflatten(1, tokens.patch_tokens.shape[2:])

    def segmentor_for(
        self, vocabulary: Vocabulary, queries: TextQueries, threshold: float, test_cfg: Mapping
    ) -> CLIPSurgerySegmentor:
        """The segmentor with the words and settings of one call.

        Args:
            vocabulary, queries: the words, and embedded.
            threshold: for one word alone.
            test_cfg: settings of `InferenceSettings` beside those of the views.

        Raises:
            ValueError: settings that are out of range or don't fit the words.
        """
        test_cfg = {**self.views.inference(), 'window_batch': self.batch, **test_cfg}
        settings = InferenceSettings.read(test_cfg, self.backbone.patch)
        check_thresholds(settings, vocabulary)
        given, head = GivenQueries(queries), SurgeryHead(threshold=threshold)
        return changed(self.segmentor, settings=settings, text_encoder=given, decode_head=head)

    def predict(
        self, segmentor: CLIPSurgerySegmentor, pixels: Sequence[Pixels], kept: Sequence[Tensor | None]
    ) -> list[SegDataSample]:
        """What the segmentor says of each photo, at the photo's size; `kept`: what `present` gave."""
        photos = [self.normalised(with_short_side(one, self.views.segment)) for one in pixels]
        samples = [SegDataSample(metainfo={'ori_shape': one.shape[:2]}) for one in pixels]
        if all(keep is None for keep in kept):
            return segmentor.predict(photos, samples)
        class_of, threshold = segmentor.text_encoder().class_of, segmentor.decode_head.threshold
        for photo, sample, keep in zip(photos, samples, kept, strict=True):
            head = KeepingHead(keep[class_of], threshold) if keep is not None else segmentor.decode_head
            changed(segmentor, decode_head=head).predict([photo], [sample])
        return samples

    def with_surgery(self, surgery: str | Mapping | Surgery) -> 'Reader':
        """The same towers under another surgery. Raises ValueError for one that reads more blocks than there are."""
        tower = copy.copy(self.backbone)
        tower.surgery = Surgery.read(surgery)
        blocks = getattr(getattr(tower.visual, 'transformer', None), 'resblocks', None)
        if blocks is not None and tower.surgery.last_blocks > len(blocks):
            raise ValueError(
                f'the surgery reads the last {tower.surgery.last_blocks} blocks, {tower.label} has {len(blocks)}; '
                'give a dict of fields with fewer last_blocks'
            )
        return Reader(changed(self.segmentor, backbone=tower), self.views, self.batch)


class GivenQueries(nn.Module):
    """Stands where a segmentor has its text encoder, with words that are embedded already."""

    vocabulary = None

    def __init__(self, queries: TextQueries):
        super().__init__()
        self.queries = queries

    def forward(self) -> TextQueries:
        return self.queries


class KeepingHead(SurgeryHead):
    """Cosine logits, those of dropped queries out of the race.

    Args:
        keep: "q" bool.
        threshold: as `SurgeryHead`.
    """

    def __init__(self, keep: Tensor, threshold: float):
        super().__init__(threshold=threshold)
        self.keep = keep

    def forward(self, tokens: ImageTokens, queries: TextQueries) -> Tensor:
        return super().forward(tokens, queries).masked_fill(~self.keep[None, :, None, None], ABSENT)


def changed(segmentor: CLIPSurgerySegmentor, **parts: Any) -> CLIPSurgerySegmentor:
    """A segmentor with other parts or settings, the rest shared; the given one stays as it is."""
    other = copy.copy(segmentor)
    object.__setattr__(other, '_modules', dict(segmentor._modules))
    for name, part in parts.items():
        setattr(other, name, part)
    return other
