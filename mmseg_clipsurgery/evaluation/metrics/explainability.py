"""The panel of metrics of similarity maps in the test loop: means over pairs of an image and a class that it holds.

    AP, flat_AP, AUROC, IoU_mean, pointing, pointing_15, energy, energy_minmax     mean over pairs, see `map_panel`
    mSC                   mean of SC over pairs                     AP_classes, mSC_classes: mean of the classes' means
    IoU_50                the curve at t = 0.5
    map_mIoU, threshold   the curve at the one t of the whole run that is best: tuned on what it is measured on
    map_mIoU_heldout      the t that is best on one half of the images, measured on the other; both ways

All in percent but `threshold`. Halves are images of even and of odd place in the data set.

Source: CLIP Surgery (arXiv 2304.05653), explainability: similarity maps judged by mIoU and by the mean score contrast
mSC. The authors did not release their evaluation. Not stated there, and chosen here: the threshold is searched once for
the whole run, by the same procedure for every method; the background is no class with a map; maps are compared at the
original size. An image that holds no class with a map adds nothing.
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
from .distributed_sum import DistributedSum, fixed_point, from_fixed_point
from .map_panel import COLUMNS, CURVE, OF_PARTS, THRESHOLDS, WIDTH, pair_figures

MEANS = {name: 'mSC' if name == 'SC' else name for name in OF_PARTS}  # column -> name of its mean over pairs


@METRICS.register_module()
class ExplainabilityMetric(BaseMetric):
    """The panel of class similarity maps; needs `test_cfg.maps=True` in the segmentor.

    Constant memory; the same figures to the last digit however images are divided among processes. Results: the names
    at the head of this file, and `pairs`. A figure that no pair has is NaN.

    Args:
        ignore_index: truth label of pixels that are left out.
        without: names of classes that have no map of their own.
        collect_device, prefix: as MMEngine's metrics.

    After `evaluate`, on every process: `per_class`, dictionaries with `class`, `AP`, `map_IoU` (at the common
    threshold), `SC` (all in percent) and `pairs`; None where a class does not occur.
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

    @property
    def _nothing(self) -> Tensor:
        """Zeros for the figures of one image: "2 k c", of which an image fills the half that it belongs to."""
        return torch.zeros(2, len(self._classes), WIDTH, dtype=torch.int64)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Count a batch: `class_maps` "k H W" and `gt_sem_seg` "1 H W" of each sample.

        Raises:
            ValueError: no maps, maps that do not fit the mask or the classes, or hold NaN; names the image.
        """
        kept = [k for k, word in enumerate(self._classes) if word not in self.without]
        for sample in data_samples:
            maps, truth = maps_of(sample, len(self._classes)), sample['gt_sem_seg']['data'][0]
            found = pair_counts(maps, truth, self.ignore_index, kept, name_of(sample))
            counts = self._nothing
            for k, figures in found.items():
                counts[self._sum.next_index % 2, k] = fixed_point(torch.from_numpy(figures))
            self._sum.add(counts)

    def evaluate(self, size: int) -> dict[str, float]:
        """Results over the `size` images of the data set, the same on every process.

        Raises:
            ValueError: no mask holds any class.
        """
        counts = self._sum.total(size, self._nothing)
        self._sum.reset()
        metrics = self.compute_metrics([counts])
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in metrics.items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Metrics of sums of `map_panel.pair_figures` in fixed point.

        Args:
            results: one sum "2 k c" for each process, or for all of them together.

        Raises:
            ValueError: no mask holds any class.
        """
        halves = from_fixed_point(sum(results))
        if not halves[..., COLUMNS['pairs']].any():
            raise ValueError(
                'no mask holds any of the classes, so there is nothing to explain; check the labels'
            )
        metrics = panel(halves)
        best = round(metrics['threshold'] * (THRESHOLDS - 1))
        self.per_class = [
            {'class': name, **class_row(counts, best)}
            for name, counts in zip(self._classes, halves.sum(dim=0), strict=True)
        ]
        print_log(', '.join(f'{key}: {value}' for key, value in metrics.items()), 'current')
        return metrics


def maps_of(sample: Mapping[str, Any], classes: int) -> dict[int, Tensor]:
    """The class maps of a sample: class index -> "H W", of all classes or of those in `map_classes`.

    Raises:
        ValueError: there are none, or of another number of classes, or they hold NaN or infinity.
    """
    if 'class_maps' not in sample:
        raise ValueError('the model gives no class_maps: set model.test_cfg.maps=True')
    maps, drawn = sample['class_maps']['data'], sample.get('map_classes', range(classes))
    if len(maps) != len(drawn):
        raise ValueError(
            f'{name_of(sample)}: {len(maps)} maps do not fit {len(drawn)} classes; set model.text_encoder.vocabulary '
            'to that of the data set'
        )
    if not maps.isfinite().all():
        raise ValueError(
            f'{name_of(sample)}: a map holds NaN or infinity; check the weights and the precision'
        )
    return dict(zip(drawn, maps, strict=True))


def name_of(sample: Mapping[str, Any]) -> str:
    """The image of a sample, for messages."""
    return str(sample.get('img_path', 'an image without a name'))


def pair_counts(
    maps: Mapping[int, Tensor],
    truth: Tensor,
    ignore_index: int,
    classes: Sequence[int],
    name: str = 'an image',
) -> dict[int, np.ndarray]:
    """What one image adds: the figures of each class that it holds, "112" float64 each, see `map_panel`.

    Args:
        maps: class index -> "H W".
        truth: "H W", class indices or `ignore_index`.
        ignore_index: truth label that is left out.
        classes: those that have maps of their own.
        name: of the image, for messages.

    Raises:
        ValueError: a class that the mask holds has no map, or one of another size.
    """
    labels = truth.cpu().numpy()
    kept = labels != ignore_index
    counts = {}
    for k in set(truth[truth != ignore_index].unique().tolist()).intersection(classes):
        shape = tuple(maps[k].shape) if k in maps else None
        if shape != labels.shape:
            raise ValueError(f'{name}: the map {shape} of class {k} does not fit the mask {labels.shape}')
        counts[k] = pair_figures(maps[k].float().cpu().numpy(), labels == k, kept)
    return counts


def panel(halves: Tensor) -> dict[str, float]:
    """The metrics of a run.

    Args:
        halves: "2 k c" float64, sums over the images of even and of odd place.

    Returns:
        Name -> percent, but `threshold` in [0, 1] and `pairs`; NaN for what no pair has.
    """
    classes = halves.sum(dim=0)
    total = classes.sum(dim=0)
    parts, pairs = total[COLUMNS['parts']], total[COLUMNS['pairs']]
    curve = total[CURVE] / pairs
    best = int(curve.argmax())
    means = {name: percent(total[COLUMNS[column]], parts) for column, name in MEANS.items()}
    return {
        **means,
        'AP_classes': class_mean(classes, 'AP'),
        'mSC_classes': class_mean(classes, 'SC'),
        'IoU_50': percent(curve[THRESHOLDS // 2], 1),
        'IoU_mean': percent(total[COLUMNS['IoU_mean']], pairs),
        'map_mIoU': percent(curve[best], 1),
        'threshold': best / (THRESHOLDS - 1),
        'map_mIoU_heldout': held_out(halves),
        'pairs': float(pairs),
    }


def held_out(halves: Tensor) -> float:
    """Mean IoU over all pairs, each half at the threshold that is best on the other; NaN where a half has no pair."""
    sums = halves.sum(dim=1)
    pairs = sums[:, COLUMNS['pairs']]
    if not pairs.all():
        return float('nan')
    best = sums[:, CURVE].argmax(dim=1).flip(0)
    return percent(sums[:, CURVE].gather(1, best[:, None]).sum(), pairs.sum())


def class_mean(classes: Tensor, column: str) -> float:
    """Mean over the classes that occur of a class's mean over its pairs, in percent."""
    found = classes[classes[:, COLUMNS['parts']] > 0]
    return percent((found[:, COLUMNS[column]] / found[:, COLUMNS['parts']]).sum(), len(found))


def class_row(counts: Tensor, best: int) -> dict[str, Any]:
    """AP, IoU at a threshold, SC and number of pairs of a class from its sums "c"."""
    parts, pairs = counts[COLUMNS['parts']], counts[COLUMNS['pairs']]
    figures = {
        'AP': percent(counts[COLUMNS['AP']], parts),
        'map_IoU': percent(counts[best], pairs),
        'SC': percent(counts[COLUMNS['SC']], parts),
    }
    stated = {name: None if value != value else value for name, value in figures.items()}
    return {**stated, 'pairs': int(pairs)}


def percent(total: Tensor | float, count: Tensor | float) -> float:
    """100 times total / count, rounded to four digits; NaN where the count is 0."""
    return round(100 * float(total) / float(count), 4) if float(count) else float('nan')
