"""mAP of multi-label recognition; any segmentation data set serves, its labels read from the masks, and any that lists
the classes of an image (`gt_classes`) in their place.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from torch import Tensor

from ...environment.numbers import check_count
from .average_precision import average_precision, class_rows, mean_of_occurring, table


@METRICS.register_module()
class RecognitionMAP(BaseMetric):
    """mAP of `class_scores`, the same on every process; an image takes k floats and k labels of memory.

    Args:
        ignore_index: label of masks that is no class.
        without: names of classes left out of the mean; names that the data set lacks have no effect.
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
        check_count('ignore_index', ignore_index, least=-1)
        self.ignore_index = ignore_index
        self.without = tuple(without)
        self.per_class: list[dict[str, Any]] = []

    @property
    def _classes(self) -> Sequence[str]:
        assert self.dataset_meta is not None
        return self.dataset_meta['classes']

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Keep scores and labels of a batch.

        Args:
            data_batch: not used.
            data_samples: of each image `class_scores` "k", and `gt_classes`, indices, or `gt_sem_seg` "1 h w".

        Raises:
            ValueError: no scores, another number of classes than the data set's, or a label that is no class.
        """
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
                truth = sample['gt_classes'] if 'gt_classes' in sample else sample['gt_sem_seg']['data']
                present = classes_present(torch.as_tensor(truth), len(scores), self.ignore_index)
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from None
            self.results.append((scores, present))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """mAP in percent under the key 'mAP'.

        Args:
            results: (scores "k", labels "k" bool) of each image.
        """
        scores, present = (np.stack(part) for part in zip(*results, strict=True))
        precision = average_precision(scores, present)
        self.per_class = class_rows(self._classes, precision, present)
        print_log(table(self.per_class), 'current')
        kept = [
            value for name, value in zip(self._classes, precision, strict=True) if name not in self.without
        ]
        return {'mAP': mean_of_occurring(kept)}


def classes_present(mask: Tensor, classes: int, ignore_index: int) -> np.ndarray:
    """Which classes occur in a mask.

    Args:
        mask: labels, of any shape.
        classes: their number k.
        ignore_index: label that is no class.

    Returns:
        "k" bool.

    Raises:
        ValueError: a label that is no class.
    """
    labels = torch.unique(mask.cpu())
    labels = labels[labels != ignore_index].long()
    if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise ValueError(f'the mask holds label {int(labels.max())} and there are {classes} classes')
    return np.isin(np.arange(classes), labels.numpy())
