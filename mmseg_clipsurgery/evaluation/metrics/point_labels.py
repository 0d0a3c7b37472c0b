"""Maps judged by labelled points in place of masks: point mIoU, and average precision over points.

    m'(y, x) >= 0.5: the class is predicted at the point; m' = (m - min m) / (max m - min m) over the image, flat: 0

    IoU       = TP / (TP + FP + FN), a class's points of all images together      point_mIoU: mean over classes
    point_mIoU_both   mean of that and of the background's, TN / (TN + FP + FN), where the latter has a point
    point_AP  = AP of the points of one class in one image, mean over such pairs that have points of both kinds
    point_flat_AP     the share of positive points of such a pair: what a flat map gets

Only classes with a positive point in an image have a map there. Points whose answer was unsure are no points.

Source: OpenImages V7 (Benenson and Ferrari, arXiv 2210.14142). What GEM and LeGrad publish under the name of p-mIoU is
not backed by released code: whether it means the foreground alone or both is not known, so both are given.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmseg.registry import METRICS
from torch import Tensor

from .class_maps import ClassMapsMetric, maps_of, name_of
from .distributed_sum import fixed_point, from_fixed_point
from .map_panel import unit_range
from .panel_means import percent
from .pixel_ranking import pixel_ranking

COLUMNS = ('TP', 'FP', 'FN', 'TN', 'AP', 'flat_AP', 'both', 'pairs')


@METRICS.register_module()
class PointExplainabilityMetric(ClassMapsMetric):
    """Point mIoU and point AP of class similarity maps; needs `test_cfg.maps=True` in the segmentor.

    A sample's `gt_points` is a dict: class index -> (positives "n 2", negatives "m 2"), int64 (y, x) in pixels of the
    original photo; a class that is left out has no points. Results: the names at the head of this file, `points`, and
    `pairs` of an image and a class.

    Args:
        without: names of classes that have no map of their own.
        collect_device, prefix: as MMEngine's metrics.

    After `evaluate`, on every process: `per_class`, dictionaries with `class`, `point_IoU` (percent) and `pairs`; None
    where a class does not occur.
    """

    def __init__(
        self,
        without: Sequence[str] = ('background',),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(without, collect_device, prefix)

    @property
    def _nothing(self) -> Tensor:
        return torch.zeros(len(self._classes), len(COLUMNS), dtype=torch.int64)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Count a batch: `class_maps` "k H W" and `gt_points` of each sample.

        Raises:
            ValueError: no maps, no points, or points that do not fit the maps; names the image.
        """
        for sample in data_samples:
            maps = maps_of(sample, len(self._classes))
            if 'gt_points' not in sample:
                raise ValueError(
                    f'{name_of(sample)}: no gt_points; take a data set whose samples carry points'
                )
            counts = self._nothing
            for k, points in sample['gt_points'].items():
                if not 0 <= k < len(self._classes):
                    raise ValueError(
                        f'{name_of(sample)}: points of class {k}, of {len(self._classes)} classes'
                    )
                if len(points[0]) and self._classes[k] not in self.without:
                    own, others = (values_at(maps, k, some, name_of(sample)) for some in points)
                    counts[k] = fixed_point(torch.from_numpy(point_figures(own, others)))
            self._sum.add(counts)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Metrics of sums of `point_figures` in fixed point, one for each process or for all of them together.

        Raises:
            ValueError: no image has a positive point of any class.
        """
        counts = from_fixed_point(sum(results)).numpy()
        if not counts[:, COLUMNS.index('pairs')].any():
            raise ValueError('no image has a positive point of any class, so there is nothing to explain')
        metrics = point_metrics(counts)
        ious = point_ious(counts)[0]
        self.per_class = [
            {'class': name, 'point_IoU': None if np.isnan(iou) else percent(iou, 1), 'pairs': int(row[-1])}
            for name, iou, row in zip(self._classes, ious, counts, strict=True)
        ]
        print_log(', '.join(f'{key}: {value}' for key, value in metrics.items()), 'current')
        return metrics


def values_at(maps: Mapping[int, Tensor], k: int, points: Any, name: str) -> np.ndarray:
    """m' "n" of a class at points.

    Args:
        maps: class index -> "H W", finite.
        k: the class.
        points: "n 2", whole (y, x).
        name: of the image.

    Raises:
        ValueError: the class has no map, or points of another form, or beside the image.
    """
    if k not in maps:
        raise ValueError(f'{name}: class {k} has points and no map')
    values, places = maps[k].float().cpu().numpy(), np.asarray(points)
    if len(places) == 0:
        return np.zeros(0)
    if places.ndim != 2 or places.shape[1] != 2 or places.dtype.kind not in 'iu':
        raise ValueError(f'{name}: points must be whole (y, x), "n 2", got {places.dtype} {places.shape}')
    if ((places < 0) | (places >= values.shape)).any():
        raise ValueError(
            f'{name}: a point lies beside the photo of {values.shape[0]} x {values.shape[1]} pixels'
        )
    return unit_range(values.astype(np.float64))[places[:, 0], places[:, 1]]


def point_figures(own: np.ndarray, others: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """What one class of one image adds.

    Args:
        own: "n" in [0, 1], m' at its positive points; at least one.
        others: "m" in [0, 1], at its negative ones.
        threshold: from which on the class is predicted.

    Returns:
        "8" float64 by `COLUMNS`: numbers of points; AP, what a flat map gets and 1, or 0 where there is no negative
        point; 1.
    """
    hits, false = (own >= threshold).sum(), (others >= threshold).sum()
    points = np.array([hits, false, len(own) - hits, len(others) - false])
    ranked = [0.0, 0.0, 0.0]
    if len(others):
        inside = np.arange(len(own) + len(others)) < len(own)
        ranked = [pixel_ranking(np.concatenate([own, others]), inside)[0], inside.mean(), 1.0]
    return np.array([*points, *ranked, 1.0])


def point_ious(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IoU "k" of the foreground and of the background of each class, NaN where there is no such point.

    Args:
        counts: "k 8", sums of `point_figures`.
    """
    hits, false, missed, right = counts[:, :4].T
    with np.errstate(invalid='ignore'):
        return hits / (hits + false + missed), right / (right + false + missed)


def point_metrics(counts: np.ndarray) -> dict[str, float]:
    """Name -> percent, but numbers of `points` and `pairs`; counts "k 8": sums of `point_figures`."""
    occurring = counts[counts[:, -1] > 0]
    foreground, background = point_ious(occurring)
    average_precision, flat, both, pairs = occurring[:, 4:].sum(axis=0)
    return {
        'point_AP': percent(average_precision, both),
        'point_flat_AP': percent(flat, both),
        'point_mIoU': percent(foreground.sum(), len(foreground)),
        'point_mIoU_both': percent(np.nanmean([foreground, background], axis=0).sum(), len(foreground)),
        'points': float(occurring[:, :4].sum()),
        'pairs': float(pairs),
    }
