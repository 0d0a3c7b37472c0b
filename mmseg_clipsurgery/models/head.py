"""Image tokens x text queries -> logits on the patch grid.

cosine (default)          <norm(F_i), T_q>: labels come from it, by the authors' advice
'paper', 'released'       feature surgery (see `similarity`), per window, with the window's class token
one word, no background   <norm(F_i), T_q - T_empty>, the single-text form, cut by `threshold`
"""

from typing import Literal, TypeAlias, get_args

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from ..similarity import cosine, feature_surgery, normalize, single_text_surgery
from ..structures import ImageTokens, TextQueries

HeadSimilarity: TypeAlias = Literal['cosine', 'paper', 'released']
SIMILARITIES = get_args(HeadSimilarity)


@MODELS.register_module()
class SurgeryHead(BaseModule):
    """Similarity of patches and queries; no weights.

    Args:
        similarity: 'cosine', or a form of feature surgery: 'paper' (labels as cosine's), 'released' (other labels).
        threshold: what a pixel's single-text similarity must exceed where the vocabulary is one word; absolute.
        num_classes: k; None: the segmentor sets it from the vocabulary.
        align_corners: read by MMSeg's tools; always False here.

    Raises:
        ValueError: unknown similarity, align_corners=True.
    """

    def __init__(
        self,
        similarity: HeadSimilarity = 'cosine',
        threshold: float = 0.0,
        num_classes: int | None = None,
        align_corners: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if similarity not in SIMILARITIES:
            raise ValueError(f'similarity must be one of {", ".join(SIMILARITIES)}, got {similarity!r}')
        if align_corners:
            raise ValueError(
                'align_corners=True is not supported: the protocol upsamples with align_corners=False'
            )
        self.similarity: HeadSimilarity = similarity
        self.threshold = threshold
        self.num_classes = num_classes
        self.align_corners = align_corners

    @property
    def out_channels(self) -> int | None:
        """Channels of the class scores, as MMSeg counts them: 1 for one word (0/1 labels), else the classes."""
        return 1 if self.num_classes == 2 and self.one_word else self.num_classes

    one_word = False  # set by the segmentor from the vocabulary

    @property
    def needs_class_token(self) -> bool:
        return self.similarity != 'cosine'

    def forward(self, tokens: ImageTokens, queries: TextQueries) -> Tensor:
        """Logits on the patch grid, in float32 also under autocast: they are yet to be multiplied by 40 and more.

        Args:
            tokens: patch tokens "b c h w", not normalised; class token "b c" for feature surgery.
            queries: embeddings "q c"; with `empty`, the single-text form is used.

        Returns:
            "b q h w", fp32.
        """
        grid = tokens.patch_tokens.shape[2:]
        with torch.autocast(tokens.patch_tokens.device.type, enabled=False):
            logits = self.compare(tokens, queries)
        return logits.transpose(1, 2).unflatten(2, grid)

    def compare(self, tokens: ImageTokens, queries: TextQueries) -> Tensor:
        """The similarity that fits, "b n q", fp32.

        Raises:
            ValueError: feature surgery without class tokens.
        """
        patches = tokens.patch_tokens.float().flatten(2).transpose(1, 2)
        text = queries.embeddings.float()
        if queries.empty is not None:
            return single_text_surgery(normalize(patches), text, queries.empty.float())
        if self.similarity == 'cosine':
            return cosine(patches, text)
        if tokens.cls_token is None:
            raise ValueError(f'similarity={self.similarity!r} needs class tokens, got tokens without them')
        return feature_surgery(normalize(tokens.cls_token.float()), normalize(patches), text, self.similarity)
