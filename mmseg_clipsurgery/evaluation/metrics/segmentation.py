"""`SegmentationMetric`: MMSeg's `IoUMetric` counted in integers, in constant memory, exact over processes.

The matrix and what is made of it: `confusion`. Differences from `IoUMetric`, whose table and names of results are kept:
- one matrix instead of four tensors for every image, summed over processes once, at the end, without the images that a
  sampler repeats (see `distributed_sum`); integers, so that any number of processes gives the same digits;
- labels above 255; masks saved in 16 bits where needed, and under names that are unique over folders;
- a label that is neither a class nor ignored is an error that names the image, not a silently lost pixel; labels on an
  accelerator are checked up to 32 images later, which saves a device synchronisation for each image.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.logging import print_log
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from ...environment.numbers import check_count, check_number, check_positive, check_switch
from ...inference.label_files import write_labels
from ..saved_predictions import file_name, write_scores
from .confusion import areas_of, confusion_counts, group_means, label_range
from .distributed_sum import DistributedSum

IOU_METRICS = ('mIoU', 'mDice', 'mFscore')
IOU_SETTINGS = ('nan_to_num', 'beta', 'collect_device', 'format_only', 'prefix')
MOST_UNCHECKED = 32  # images on an accelerator whose labels are still to be checked


@METRICS.register_module()
class SegmentationMetric(IoUMetric):
    """IoU and accuracy per class, their means, and the means of groups of classes.

    Args:
        ignore_index: truth label that is left out; 65535 for data sets with more than 255 classes.
        iou_metrics: any of 'mIoU', 'mDice', 'mFscore', as in `IoUMetric`.
        groups: name -> class names; adds `mIoU_<name>`, the mean IoU of these classes, to the results.
        per_image: also keep a row per image in `per_image_rows`: its name, mIoU over the classes present, aAcc.
        output_dir: folder for predicted masks in the data set's own encoding (`reduce_zero_label` is undone).
        scores_dir: folder for class scores as fp16 npz; needs `test_cfg.scores=True` in the segmentor.
        image_root: folder below which names of saved files are kept; None: base names.
        **kwargs: the other arguments of `IoUMetric` (`format_only`, `nan_to_num`, `beta`, `prefix`, `collect_device`).

    Raises:
        ValueError: an unknown argument, which `IoUMetric` itself would drop.

    After `evaluate`, on every process: `per_class`, a list of dictionaries with `class`, `IoU`, `Acc`, ... (percent;
    None where a class occurs neither in truth nor prediction), and `confusion`, "k k", rows truth, columns prediction.
    """

    def __init__(
        self,
        ignore_index: int = 255,
        iou_metrics: Sequence[str] = ('mIoU',),
        groups: Mapping[str, Sequence[str]] | None = None,
        per_image: bool = False,
        output_dir: str | None = None,
        scores_dir: str | None = None,
        image_root: str | None = None,
        **kwargs: Any,
    ) -> None:
        if unknown := sorted(set(kwargs) - set(IOU_SETTINGS)):
            raise ValueError(
                f'SegmentationMetric has no setting {unknown[0]!r}; there are ignore_index, iou_metrics, groups, '
                f'per_image, output_dir, scores_dir, image_root, {", ".join(IOU_SETTINGS)}'
            )
        check_settings(ignore_index, iou_metrics, per_image, kwargs)
        super().__init__(ignore_index, list(iou_metrics), output_dir=output_dir, **kwargs)
        self.groups = {name: list(classes) for name, classes in (groups or {}).items()}
        self.per_image = per_image
        self.scores_dir = scores_dir
        self.image_root = image_root
        self.per_class: list[dict[str, Any]] = []
        self.per_image_rows: list[dict[str, Any]] = []
        self.confusion: Tensor | None = None
        self._saved: dict[str, str] = {}
        self._rows: list[dict[str, Any]] = []
        self._unchecked: list[tuple[str, Tensor]] = []
        self._reset()

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the data set; setting it checks `groups` and `ignore_index` against it."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict | None) -> None:
        self._dataset_meta = meta
        if meta and meta.get('classes'):
            check_classes(meta['classes'], self.ignore_index, self.groups)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch: `pred_sem_seg` and, unless `format_only`, `gt_sem_seg` ("1 h w") of each sample.

        Raises:
            ValueError: a mask of another size, or a label that is neither a class nor ignored, in one of these samples
                or, where labels are on an accelerator, in an earlier one; the message names the image.
        """
        for sample in data_samples:
            if 'pred_sem_seg' not in sample:
                raise ValueError(
                    'the model gives no labels: set model.test_cfg.maps to True or False, not to depicted'
                )
            labels = sample['pred_sem_seg']['data'][0]
            if not self.format_only:
                truth = sample['gt_sem_seg']['data'][0].to(labels.device)
                self._add(
                    self._count(truth, labels, str(sample.get('img_path', 'an image without a name'))), sample
                )
            if self.output_dir is not None:
                path = self._path(self.output_dir, sample['img_path'], '.png')
                offset = int(bool(sample.get('reduce_zero_label', False)))
                write_labels(path, labels.cpu().numpy(), self._classes, offset)
            if self.scores_dir is not None:
                write_scores(self._path(self.scores_dir, sample['img_path'], '.npz'), _scores(sample))

    def evaluate(self, size: int) -> dict[str, float]:
        """Results over the `size` images of the data set, the same on every process.

        Raises:
            ValueError: this process saw more images than its share and one repetition, or see `process`.
        """
        self._check()
        if self.format_only:
            print_log(f'predictions are saved in {self.output_dir}', 'current')
            self._reset()
            return {}
        if self._sum.surplus(size):
            self._rows = self._rows[:-1]
        nothing = torch.zeros(self._classes, self._classes, dtype=torch.int64)
        metrics = self._summarise(self._sum.total(size, nothing))
        if self.per_image:
            self.per_image_rows = [row for rows in all_gather_object(self._rows) for row in rows]
        self._reset()
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in metrics.items()}

    @property
    def _classes(self) -> int:
        assert self._dataset_meta is not None
        return len(self._dataset_meta['classes'])

    def _reset(self) -> None:
        self._sum = DistributedSum()
        self._rows = []
        self._unchecked = []

    def _count(self, truth: Tensor, labels: Tensor, name: str) -> Tensor:
        if truth.shape != labels.shape:
            sizes = ' and '.join('x'.join(map(str, tensor.shape)) for tensor in (truth, labels))
            raise ValueError(
                f'the mask and the prediction of {name} have different sizes (height x width): {sizes}'
            )
        self._unchecked.append((name, label_range(truth, labels, self.ignore_index)))
        if labels.device.type == 'cpu' or len(self._unchecked) == MOST_UNCHECKED:
            self._check()
        return confusion_counts(truth, labels, self._classes, self.ignore_index)

    def _check(self) -> None:
        """Refuse labels of images not checked yet that are neither a class nor ignored."""
        unchecked, self._unchecked = self._unchecked, []
        if not unchecked:
            return
        names, values = zip(*unchecked, strict=True)
        for name, (truth_low, truth_high, low, high) in zip(names, torch.stack(values).tolist(), strict=True):
            for kind, ends in (('mask', (truth_low, truth_high)), ('prediction', (low, high))):
                for label in ends:
                    if not 0 <= label < self._classes:
                        raise ValueError(
                            f'{name}: the {kind} holds label {label} and there are {self._classes} classes '
                            f'(0..{self._classes - 1}; ignored: {self.ignore_index})'
                        )

    def _add(self, counts: Tensor, sample: dict) -> None:
        self._sum.add(counts)
        if self.per_image:
            self._rows.append({'image': str(sample.get('img_path')), **_image_row(counts)})

    def _summarise(self, counts: Tensor) -> dict[str, float]:
        assert self._dataset_meta is not None
        self.confusion = counts
        areas = tuple(area.double() for area in areas_of(counts))
        metrics = dict(super().compute_metrics([areas]))
        values = self.total_area_to_metrics(*areas, self.metrics, self.nan_to_num, self.beta)
        values.pop('aAcc')
        names = list(self._dataset_meta['classes'])
        self.per_class = [
            {'class': name, **{key: _percent(column[index]) for key, column in values.items()}}
            for index, name in enumerate(names)
        ]
        if self.groups:
            means = group_means(counts, names, self.groups)
            print_log(', '.join(f'{key}: {value}' for key, value in means.items()), 'current')
            metrics |= means
        return {key: float(value) for key, value in metrics.items()}

    def _path(self, folder: str, image_path: str, suffix: str) -> Path:
        name = file_name(image_path, self.image_root, suffix)
        if self._saved.setdefault(name, image_path) != image_path:
            raise ValueError(
                f'{image_path} and {self._saved[name]} would both be saved as {name}: '
                'set image_root of the metric to a folder that holds both'
            )
        return Path(folder, name)


def check_settings(
    ignore_index: int, iou_metrics: Sequence[str], per_image: bool, others: Mapping[str, Any]
) -> None:
    """Refuse settings of the metric that would be wrong, or an error after the run. Raises ValueError."""
    check_count('ignore_index', ignore_index, least=-1)
    check_switch('per_image', per_image)
    if not isinstance(iou_metrics, list | tuple) or not iou_metrics or not {*iou_metrics} <= {*IOU_METRICS}:
        raise ValueError(
            f'iou_metrics must be a list of some of {", ".join(IOU_METRICS)}, got {iou_metrics!r}'
        )
    if others.get('nan_to_num') is not None:
        check_number('nan_to_num', others['nan_to_num'])
    if 'beta' in others:
        check_positive('beta', others['beta'])
    if 'format_only' in others:
        check_switch('format_only', others['format_only'])


def check_classes(
    classes: Sequence[str], ignore_index: int, groups: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Check settings of the metric against the data set.

    Args:
        classes: of the data set.
        ignore_index: truth label that is left out.
        groups: name -> class names.

    Raises:
        ValueError: `ignore_index` is a class, or a group is empty or names an unknown class.
    """
    if 0 <= ignore_index < len(classes):
        raise ValueError(
            f'ignore_index {ignore_index} is also the class {classes[ignore_index]!r}: '
            f'use 65535 for a data set with {len(classes)} classes'
        )
    for group, members in (groups or {}).items():
        unknown = [name for name in members if name not in classes]
        if unknown or not members:
            raise ValueError(
                f'group {group!r} of the metric names {unknown or "no class"}; classes: {list(classes)}'
            )


def _image_row(counts: Tensor) -> dict[str, float | None]:
    intersection, union, _, truth = (area.double() for area in areas_of(counts))
    present = union > 0
    iou = float((intersection[present] / union[present]).mean()) if bool(present.any()) else float('nan')
    return {'mIoU': _percent(iou), 'aAcc': _percent(float(intersection.sum() / truth.sum()))}


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value) * 100, 4)


def _scores(sample: dict) -> np.ndarray:
    if 'seg_logits' not in sample:
        raise ValueError('scores_dir is set and the model gives no scores: set model.test_cfg.scores=True')
    return sample['seg_logits']['data'].float().cpu().numpy()
