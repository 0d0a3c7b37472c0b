"""The panel of metrics of similarity maps in the test loop, over pairs of an image and a class that it holds.

    image, class in its mask -> figures of the pair (`map_panel`) -> sums -> means (`panel_means`)

Source: CLIP Surgery (arXiv 2304.05653), explainability: similarity maps judged by mIoU and by the mean score contrast
mSC. The authors did not release their evaluation. Not stated there, and chosen here: the threshold is searched once for
the whole run, by the same procedure for every method; the background is no class with a map; maps are compared at the
original size. An image that holds no class with a map adds nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmseg.registry import METRICS
from torch import Tensor

from ...environment.numbers import check_count
from .class_maps import ClassMapsMetric, maps_of, name_of
from .distributed_sum import fixed_point, from_fixed_point
from .map_panel import COLUMNS, THRESHOLDS, WIDTH, pair_figures
from .panel_means import class_row, panel


@METRICS.register_module()
class ExplainabilityMetric(ClassMapsMetric):
    """The panel of class similarity maps; needs `test_cfg.maps=True` in the segmentor.

    Results: the names at the head of `panel_means`, and `pairs`.

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
        super().__init__(without, collect_device, prefix)
        check_count('ignore_index', ignore_index, least=-1)
        self.ignore_index = ignore_index

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
