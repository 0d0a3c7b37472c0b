"""How well similarity maps explain: mIoU of maps as masks and mSC, over pairs of an image and a class it holds.

For each image, each class c that its mask holds, and the map s of that class over the pixels that are not ignored:

    s'  = (s - min s) / (max s - min s)                                     a flat map counts as 0 everywhere
    SC  = mean of s' where the mask is c  -  mean of s' where it is not     a class that fills its image has no SC
    IoU = |{s' >= t} and {mask is c}| / |{s' >= t} or {mask is c}|          for every t = 0, 0.01, ..., 1

    mSC = 100 x mean SC over pairs;   mIoU = 100 x mean IoU over pairs at the t that makes it largest

Source: CLIP Surgery (arXiv 2304.05653), explainability: similarity maps judged by mIoU and by the mean score contrast
mSC. The authors did not release their evaluation. Not stated there, and chosen here: the threshold is searched once for
the whole run, by the same procedure for every method; means are over pairs, not over classes; the background is no
class with a map; scores are compared at the original size.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from torch import Tensor

from ...environment.numbers import check_count
from ...explain import unit_range
from .distributed_sum import DistributedSum

THRESHOLDS = 101  # 0, 0.01, ..., 1


@METRICS.register_module()
class ExplainabilityMetric(BaseMetric):
    """mIoU and mSC of class similarity maps; needs `test_cfg.maps=True` in the segmentor.

    Constant memory, exact over processes. Results: `map_mIoU`, `threshold` (what it was found at, in [0, 1]), `mSC`,
    `pairs`.

    Args:
        ignore_index: truth label of pixels that are left out.
        without: names of classes that have no map of their own.
        collect_device, prefix: as MMEngine's metrics.

    After `evaluate`, on every process: `per_class`, dictionaries with `class`, `map_IoU` (percent, at the common
    threshold), `SC` (percent) and `pairs`; None where a class does not occur.
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
        self._sum = DistributedSum()

    @property
    def _classes(self) -> Sequence[str]:
        assert self.dataset_meta is not None
        return self.dataset_meta['classes']

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Count a batch: `class_maps` "k H W" and `gt_sem_seg` "1 H W" of each sample.

        Raises:
            ValueError: no maps, or maps that do not fit the mask or the classes; names the image.
        """
        for sample in data_samples:
            name = sample.get('img_path', 'an image without a name')
            if 'class_maps' not in sample:
                raise ValueError('the model gives no class_maps: set model.test_cfg.maps=True')
            maps, truth = sample['class_maps']['data'], sample['gt_sem_seg']['data'][0]
            if len(maps) != len(self._classes) or maps.shape[1:] != truth.shape:
                raise ValueError(
                    f'{name}: maps {tuple(maps.shape)} do not fit {len(self._classes)} classes and the mask '
                    f'{tuple(truth.shape)}; set model.text_encoder.vocabulary to that of the data set'
                )
            kept = [k for k, word in enumerate(self._classes) if word not in self.without]
            self._sum.add(pair_counts(maps, truth.to(maps.device), self.ignore_index, kept))

    def evaluate(self, size: int) -> dict[str, float]:
        """Results over the `size` images of the data set, the same on every process.

        Raises:
            ValueError: no mask holds any class.
        """
        counts = self._sum.total(size, torch.zeros(len(self._classes), THRESHOLDS + 3, dtype=torch.float64))
        self._sum.reset()
        metrics = self.compute_metrics([counts])
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in metrics.items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Metrics of sums of `pair_counts`.

        Args:
            results: one sum for each process, or for all of them together.

        Raises:
            ValueError: no mask holds any class.
        """
        counts = sum(results)
        overlaps, contrast, contrasts, pairs = counts[:, :-3], counts[:, -3], counts[:, -2], counts[:, -1]
        if not pairs.sum():
            raise ValueError(
                'no mask holds any of the classes, so there is nothing to explain; check the labels'
            )
        curve = overlaps.sum(dim=0) / pairs.sum()
        best = int(curve.argmax())
        self.per_class = [
            {
                'class': name,
                'map_IoU': percent(overlaps[k, best], pairs[k]),
                'SC': percent(contrast[k], contrasts[k]),
                'pairs': int(pairs[k]),
            }
            for k, name in enumerate(self._classes)
        ]
        metrics = {
            'map_mIoU': percent(curve[best], 1),
            'threshold': best / (THRESHOLDS - 1),
            'mSC': percent(contrast.sum(), contrasts.sum()),
            'pairs': int(pairs.sum()),
        }
        print_log(', '.join(f'{key}: {value}' for key, value in metrics.items()), 'current')
        return {key: float('nan') if value is None else float(value) for key, value in metrics.items()}


def pair_counts(maps: Tensor, truth: Tensor, ignore_index: int, classes: Sequence[int]) -> Tensor:
    """What one image adds.

    Args:
        maps: "k H W".
        truth: "H W", class indices or `ignore_index`.
        classes: those that have maps of their own.

    Returns:
        "k (101 + 3)", float64: of each class present, IoU at each threshold, its contrast, whether it has one, and 1.
    """
    counts = torch.zeros(len(maps), THRESHOLDS + 3, dtype=torch.float64, device=maps.device)
    kept = truth != ignore_index
    truth = truth[kept].long()
    for k in classes:
        inside = truth == k
        area = int(inside.sum())
        if not area:
            continue
        scaled = unit_range(maps[k][kept].double()[None])[0]
        counts[k, :THRESHOLDS] = overlap_curve(scaled, inside)
        counts[k, -1] = 1
        if area < len(truth):
            counts[k, -3] = scaled[inside].mean() - scaled[~inside].mean()
            counts[k, -2] = 1
    return counts


def overlap_curve(scaled: Tensor, inside: Tensor) -> Tensor:
    """IoU of {scaled >= t} with a class at every threshold t.

    Args:
        scaled: "p" in [0, 1], map of the pixels that count.
        inside: "p" bool, which of them are of the class; at least one.

    Returns:
        "101", in [0, 1].
    """
    steps = THRESHOLDS - 1
    level = (scaled * steps + 1e-9).floor().long().clamp_max(steps)  # the highest threshold a pixel reaches
    reached = level.bincount(minlength=THRESHOLDS).flip(0).cumsum(0).flip(0)
    hits = level[inside].bincount(minlength=THRESHOLDS).flip(0).cumsum(0).flip(0)
    return hits.double() / (reached + inside.sum() - hits)


def percent(total: Tensor, count: Tensor | int) -> float | None:
    """100 times total / count, rounded to four digits; None where the count is 0."""
    return round(100 * float(total) / float(count), 4) if float(count) else None
