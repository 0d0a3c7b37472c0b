"""The decode head: image tokens x text queries -> logits on the patch grid, by the similarity that a config names.

cosine (default)          <norm(F_i), T_q>: labels come from it, by the authors' advice
'paper', 'released'       feature surgery (see `similarity`), per window, with the window's class token
one word, no background   <norm(F_i), T_q - T_empty>, the single-text form, cut by `threshold`
"""

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from ..environment.numbers import check_number
from ..similarity import Similarity, check_similarity, grid_logits
from ..structures import ImageTokens, TextQueries


@MODELS.register_module()
class SurgeryHead(BaseModule):
    """Holds which similarity a segmentor uses, and what MMSeg's tools ask a head; no weights.

    Args:
        similarity: 'cosine', or a form of feature surgery: 'paper' (labels as cosine's), 'released' (other labels).
        threshold: what a pixel's single-text similarity must exceed where the vocabulary is one word; absolute.
        num_classes: k; None: the segmentor sets it from the vocabulary.
        align_corners: read by MMSeg's tools; always False here.

    Raises:
        ValueError: unknown similarity, a threshold that is no finite number, align_corners=True.
    """

    def __init__(
        self,
        similarity: Similarity = 'cosine',
        threshold: float = 0.0,
        num_classes: int | None = None,
        align_corners: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        check_similarity(similarity)
        if align_corners:
            raise ValueError(
                'align_corners=True is not supported: the protocol upsamples with align_corners=False'
            )
        check_number('decode_head.threshold', threshold)
        self.similarity: Similarity = similarity
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
        """`similarity.grid_logits` by the head's similarity: "b q h w", fp32."""
        return grid_logits(tokens, queries, self.similarity)
