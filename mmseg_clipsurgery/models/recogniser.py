"""Multi-label recognition inside MMSeg: which classes an image holds, not where.

In a config of segmentation:

    model = dict(type='CLIPSurgeryRecogniser')
    test_evaluator = dict(_delete_=True, type='RecognitionMAP')
"""

from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ..clip.logit_scale import own_logit_scale
from ..environment.numbers import check_positive
from ..recognition import recognition_scores
from ..similarity import SurgeryForm
from .padding import unpadded
from .segmentor import CLIPSurgerySegmentor


@MODELS.register_module()
class CLIPSurgeryRecogniser(CLIPSurgerySegmentor):
    """A segmentor that says which classes an image holds, not where; images are read whole, whatever the windows.

    Args:
        form: of feature surgery, 'released' or 'paper'.
        logit_scale: factor before the softmax; None: the model's own.
        **settings: as `CLIPSurgerySegmentor`, without `variants`.

    Raises:
        ValueError: variants; or as `CLIPSurgerySegmentor`.
    """

    def __init__(self, form: SurgeryForm = 'released', logit_scale: float | None = None, **settings: Any):
        super().__init__(**settings)
        if self.variants:
            raise ValueError('variants are read for labels; which words an image holds depends on no surgery')
        if logit_scale is not None:
            check_positive('logit_scale', logit_scale)
        self.form = form
        self.logit_scale = (
            own_logit_scale(self.text_encoder.source.weights) if logit_scale is None else logit_scale
        )

    def own_protocol(self) -> dict[str, Any]:
        """What decides scores of classes beside the segmentor's settings, for the protocol of a run."""
        return {'form of feature surgery': self.form, 'logit scale of classes': self.logit_scale}

    @torch.no_grad()
    def predict(self, inputs, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """The samples with `class_scores` "k" in [0, 1]; arguments as the segmentor's."""
        data_samples = data_samples or [SegDataSample() for _ in inputs]
        queries = self.text_encoder()
        images = unpadded(inputs, [sample.metainfo for sample in data_samples])
        for image, sample in zip(images, data_samples, strict=True):
            cls = self.extract_feat(image[None]).cls_token
            scores = recognition_scores(cls, queries, self.form, self.logit_scale)
            sample.set_data({'class_scores': scores[0]})
        return data_samples
