"""Test-time augmentation: class scores are averaged, then come the thresholds.

MMSeg's own `SegTTAModel` would apply a second softmax to our scores and drop the thresholds.
"""

from dataclasses import replace

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .variants import variant_of


@MODELS.register_module()
class CLIPSurgeryTTAModel(BaseTTAModel):
    """Averages a `CLIPSurgerySegmentor`'s scores over augmented views of each image."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.module.settings = replace(self.module.settings, scores=True)

    @property
    def dataset_meta(self) -> dict:
        return self.module.dataset_meta

    def merge_preds(self, data_samples_list: list[list[SegDataSample]]) -> list[SegDataSample]:
        """Views of each image -> one sample each, with `pred_sem_seg` and the averaged `seg_logits`."""
        return [self.merge_views(views) for views in data_samples_list]

    def merge_views(self, views: list[SegDataSample]) -> SegDataSample:
        with torch.no_grad():
            scores = torch.stack([view.seg_logits.data for view in views]).mean(dim=0)
            variant = variant_of(views[0])
            predictor = self.module.predictor if variant is None else self.module.predictors[variant]
            labels = predictor.labels(scores)
        merged = views[0]
        merged.set_data({'seg_logits': PixelData(data=scores), 'pred_sem_seg': PixelData(data=labels)})
        return merged
