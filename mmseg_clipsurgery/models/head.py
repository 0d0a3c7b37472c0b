"""The decode head: image tokens x text queries -> logits on the patch grid, by the similarity that a config names.

cosine (default)          <norm(F_i), T_q>: labels come from it, by the authors' advice
'paper', 'released'       feature surgery (see `similarity`), per window, with the window's class token
one word, no background   <norm(F_i), T_q - T_empty>, the single-text form, cut by `threshold`
global_share,             cosines mixed with those of the whole image, and queries moved towards the image's patches:
prompt_shift              RF-CLIP's text side (see `methods.word_prior`)
"""

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from ..environment.numbers import check_count, check_number
from ..methods.word_prior import complete_linkage, prior_logits
from ..similarity import Similarity, check_similarity, grid_logits
from ..structures import ImageTokens, TextQueries

VIEWS = ('image', 'window')


@MODELS.register_module()
class SurgeryHead(BaseModule):
    """Holds which similarity a segmentor uses, and what MMSeg's tools ask a head; no weights.

    Args:
        similarity: 'cosine', or a form of feature surgery: 'paper' (labels as cosine's), 'released' (other labels).
        threshold: what a pixel's single-text similarity must exceed where the vocabulary is one word; absolute.
        num_classes: k; None: the segmentor sets it from the vocabulary.
        align_corners: read by MMSeg's tools; always False here.
        global_share: weight of the class token's cosines in every patch's, in [0, 1].
        prompt_shift: None, or dict(share=0.03, height=0.1): of each cluster of queries, cut at a cosine distance of
            height, the likeliest one moves by share towards the patches nearest to it.
        global_view: whose class token these two look at: 'image', the whole resized image's, or 'window', the window's
            own.

    Raises:
        ValueError: unknown similarity or view, a threshold that is no finite number, align_corners=True, a share or
            height out of range, or a similarity that these two do not go with.
    """

    def __init__(
        self,
        similarity: Similarity = 'cosine',
        threshold: float = 0.0,
        num_classes: int | None = None,
        align_corners: bool = False,
        global_share: float = 0.0,
        prompt_shift: Mapping[str, float] | None = None,
        global_view: str = 'image',
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        check_similarity(similarity)
        if align_corners:
            raise ValueError(
                'align_corners=True is not supported: the protocol upsamples with align_corners=False'
            )
        check_number('decode_head.threshold', threshold)
        if num_classes is not None:
            check_count('decode_head.num_classes', num_classes)
        check_prior(global_share, prompt_shift, global_view)
        self.similarity: Similarity = similarity
        self.threshold = threshold
        self.num_classes = num_classes
        self.align_corners = align_corners
        self.global_share = global_share
        self.prompt_shift = prompt_shift
        self.global_view = global_view
        self.check_prior_similarity()
        self._clustered: tuple[Tensor, Tensor] | None = None  # the last embeddings, their clusters

    def with_similarity(self, similarity: Similarity) -> 'SurgeryHead':
        """The same head by another similarity.

        Raises:
            ValueError: an unknown similarity, or one that its global_share and prompt_shift don't go with.
        """
        check_similarity(similarity)
        if similarity == self.similarity:
            return self
        made = copy.copy(self)
        made.similarity = similarity
        made.check_prior_similarity()
        return made

    def check_prior_similarity(self) -> None:
        """Refuse global_share and prompt_shift beside feature surgery. Raises ValueError."""
        if self.has_prior and self.similarity != 'cosine':
            raise ValueError(
                "global_share and prompt_shift go with similarity='cosine', "
                f'got {self.similarity!r}; leave them out'
            )

    @property
    def out_channels(self) -> int | None:
        """Channels of the class scores, as MMSeg counts them: 1 for one word (0/1 labels), else the classes."""
        return 1 if self.num_classes == 2 and self.one_word else self.num_classes

    one_word = False  # set by the segmentor from the vocabulary

    @property
    def has_prior(self) -> bool:
        """Whether the class token has a say in labels beside the cosines."""
        return bool(self.global_share) or self.prompt_shift is not None

    @property
    def needs_class_token(self) -> bool:
        return self.similarity != 'cosine' or self.has_prior

    @property
    def needs_whole_image(self) -> bool:
        """Whether the class token is the whole image's instead of the window's."""
        return self.has_prior and self.global_view == 'image'

    def forward(self, tokens: ImageTokens, queries: TextQueries) -> Tensor:
        """Logits "b q h w", fp32, of tokens and queries as for `similarity.grid_logits`."""
        if not self.has_prior:
            return grid_logits(tokens, queries, self.similarity)
        if self.prompt_shift is None:
            return prior_logits(tokens, queries, self.global_share)
        clusters, shift = self.clusters(queries.embeddings), self.prompt_shift['share']
        return prior_logits(tokens, queries, self.global_share, clusters, shift)

    def clusters(self, embeddings: Tensor) -> Tensor:
        """Clusters "q" of the queries "q c"; those of the last call where the embeddings are in the same memory."""
        kept = self._clustered
        if kept is None or place_of(kept[0]) != place_of(embeddings):
            assert self.prompt_shift is not None
            self._clustered = kept = (embeddings, complete_linkage(embeddings, self.prompt_shift['height']))
        return kept[1]


def place_of(values: Tensor) -> tuple:
    """Where a tensor's values lie; while one of two is held, equal places mean equal values."""
    version = 0 if values.is_inference() else values._version
    return values.data_ptr(), values.shape, values.device, version


def check_prior(global_share: float, prompt_shift: Mapping[str, float] | None, global_view: str) -> None:
    """Refuse settings of the text side. Raises ValueError."""
    check_number('global_share', global_share, 0, 1)
    shift = {'share': 0.0, 'height': 0.0} if prompt_shift is None else prompt_shift
    whole = isinstance(shift, Mapping) and set(shift) == {'share', 'height'}
    if not whole or not (is_within(shift['share'], 1) and is_within(shift['height'], 2)):
        raise ValueError(
            'prompt_shift must be like dict(share=0.03, height=0.1), share in [0, 1] and height, a cosine distance, '
            f'in [0, 2], got {prompt_shift!r}'
        )
    if global_view not in VIEWS:
        raise ValueError(f'global_view must be one of {", ".join(VIEWS)}, got {global_view!r}')


def is_within(value: Any, most: float) -> bool:
    """Whether a value is a number in [0, most]."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
