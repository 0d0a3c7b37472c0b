"""Multi-label recognition: which classes an image holds, by the class token after feature surgery, and its mAP.

    S_q = feature surgery of F_0 and the texts (`similarity`);  p_q = softmax over queries of logit scale * S_q
    class score = maximum over the class's queries
    one word, nothing to compare with:  p = sigmoid(logit scale * <F_0, T - T_empty>), the word against the empty string

Only the released form changes p against plain CLIP: the paper's form subtracts one number from all S_q of an image,
which a softmax does not see.

Any segmentation data set serves, its labels read from the masks. In a config of segmentation:

    model = dict(type='CLIPSurgeryRecogniser')
    test_evaluator = dict(_delete_=True, type='RecognitionMAP')

Source: CLIP Surgery (arXiv 2304.05653), multi-label recognition.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS, MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..labels import class_maximum
from ..preprocessor import unpadded
from ..segmentor import CLIPSurgerySegmentor
from ..similarity import SurgeryForm, feature_surgery, normalize, single_text_surgery
from ..structures import TextQueries
from ..weights import read_weights
from .average_precision import average_precision, class_rows, mean_of_occurring, table

MOST_LOGIT_SCALE = 100.0  # at which CLIP's training clips it, and where OpenAI's models all end


def recognition_scores(
    cls: Tensor, queries: TextQueries, form: SurgeryForm = 'released', logit_scale: float = MOST_LOGIT_SCALE
) -> Tensor:
    """Class scores of images.

    Args:
        cls: class tokens "b c", not normalised.
        queries: embedded words; with `empty`, the single-text form is used.
        form: of feature surgery.
        logit_scale: > 0.

    Returns:
        "b k" in [0, 1], fp32.
    """
    if logit_scale <= 0:
        raise ValueError(f'logit_scale must be above 0, got {logit_scale}')
    if queries.empty is not None:
        return word_presence(cls, queries, queries.empty, logit_scale)
    cls, text = normalize(cls.float()), queries.embeddings.float()
    scores = (logit_scale * feature_surgery(cls, cls[:, None], text, form)[:, 0]).softmax(dim=-1)
    return class_maximum(scores, queries.class_of, int(queries.class_of.max()) + 1)


def word_presence(cls: Tensor, queries: TextQueries, empty: Tensor, logit_scale: float) -> Tensor:
    """Each class against the empty string, whatever the others: sigmoid(logit scale * <F_0, T - T_empty>).

    Args:
        cls: class tokens "b c", not normalised.
        queries: embedded words.
        empty: "1 c", the empty string through the same templates, L2-normalised.
        logit_scale: > 0.

    Returns:
        "b k" in [0, 1], fp32, the maximum over a class's words; above 0.5 the image is nearer to the word.
    """
    nearness = single_text_surgery(normalize(cls.float())[:, None], queries.embeddings.float(), empty.float())
    presence = (logit_scale * nearness[:, 0]).sigmoid()
    return class_maximum(presence, queries.class_of, int(queries.class_of.max()) + 1)


@lru_cache(maxsize=16)
def own_logit_scale(weights: Path | None) -> float:
    """exp(logit_scale) of a CLIP's file, at most 100; 100 where there is no file or it holds none."""
    tensors = {} if weights is None else read_weights(weights)
    found = [float(value) for name, value in tensors.items() if name.rpartition('.')[2] == 'logit_scale']
    return min(math.exp(found[0]), MOST_LOGIT_SCALE) if found else MOST_LOGIT_SCALE


@MODELS.register_module()
class CLIPSurgeryRecogniser(CLIPSurgerySegmentor):
    """A segmentor that says which classes an image holds, not where; images are read whole, whatever the windows.

    Args:
        form: of feature surgery, 'released' or 'paper'.
        logit_scale: factor before the softmax; None: the model's own.
        **settings: as `CLIPSurgerySegmentor`.
    """

    def __init__(self, form: SurgeryForm = 'released', logit_scale: float | None = None, **settings: Any):
        super().__init__(**settings)
        self.form = form
        self.logit_scale = (
            own_logit_scale(self.text_encoder.source.weights) if logit_scale is None else logit_scale
        )

    @torch.inference_mode()
    def predict(self, inputs, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """The samples with `class_scores` "k" in [0, 1]; arguments as the segmentor's."""
        data_samples = data_samples or [SegDataSample() for _ in inputs]
        queries = self.text_encoder()
        for image, sample in zip(
            unpadded(inputs, [s.metainfo for s in data_samples]), data_samples, strict=True
        ):
            cls = self.backbone(image[None]).cls_token
            scores = recognition_scores(cls, queries, self.form, self.logit_scale)
            sample.set_data({'class_scores': scores[0]})
        return data_samples


@METRICS.register_module()
class RecognitionMAP(BaseMetric):
    """mAP of `class_scores`; keeps k floats and k labels an image, and every process gets the same result.

    Args:
        ignore_index: label of masks that is no class.
        without: names of classes left out of the mean; those the data set lacks are no mistake.
        collect_device, prefix: as MMEngine's metrics.

    After `evaluate`, on the first process: `per_class`, dictionaries with `class`, `AP` (percent, None where the class
    does not occur) and `images` (how many hold it).
    """

    def __init__(
        self,
        ignore_index: int = 255,
        without: Sequence[str] = ('background',),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.ignore_index = ignore_index
        self.without = tuple(without)
        self.per_class: list[dict[str, Any]] = []

    @property
    def _classes(self) -> Sequence[str]:
        assert self.dataset_meta is not None
        return self.dataset_meta['classes']

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Keep scores and labels of a batch: `class_scores` "k" and `gt_sem_seg` "1 h w" of each sample."""
        for sample in data_samples:
            name = str(sample.get('img_path', 'an image without a name'))
            if 'class_scores' not in sample:
                raise ValueError("the model gives no class_scores; set model.type='CLIPSurgeryRecogniser'")
            scores = sample['class_scores'].float().cpu().numpy()
            if len(scores) != len(self._classes):
                raise ValueError(
                    f'the model scores {len(scores)} classes, the data set has {len(self._classes)}; '
                    'set model.text_encoder.vocabulary to that of the data set'
                )
            try:
                present = classes_present(sample['gt_sem_seg']['data'], len(scores), self.ignore_index)
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from None
            self.results.append((scores, present))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """All images' (scores, labels) -> {'mAP': percent}."""
        scores, present = (np.stack(part) for part in zip(*results, strict=True))
        precision = average_precision(scores, present)
        self.per_class = class_rows(self._classes, precision, present)
        print_log(table(self.per_class), 'current')
        kept = [
            value for name, value in zip(self._classes, precision, strict=True) if name not in self.without
        ]
        return {'mAP': mean_of_occurring(kept)}


def classes_present(mask: Tensor, classes: int, ignore_index: int) -> np.ndarray:
    """Which classes occur in a mask of any shape: "k" bool. Raises ValueError for a label that is no class."""
    labels = torch.unique(mask.cpu())
    labels = labels[labels != ignore_index].long()
    if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise ValueError(f'the mask holds label {int(labels.max())} and there are {classes} classes')
    return np.isin(np.arange(classes), labels.numpy())
