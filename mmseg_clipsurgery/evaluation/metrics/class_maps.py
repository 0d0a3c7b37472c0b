"""What metrics of class maps share: the maps of a sample, and sums over a data set in place of a list of results."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from torch import Tensor

from .distributed_sum import DistributedSum


class ClassMapsMetric(BaseMetric):
    """A metric whose images add tensors of one shape, in fixed point.

    Memory is constant, and figures are the same to the last digit however images are divided among processes.

    Args:
        without: names of classes that have no map of their own.
        collect_device, prefix: as MMEngine's metrics.
    """

    def __init__(self, without: Sequence[str], collect_device: str, prefix: str | None) -> None:
        super().__init__(collect_device, prefix)
        self.without = tuple(without)
        self.per_class: list[dict[str, Any]] = []
        self._sum = DistributedSum()

    @property
    def _classes(self) -> Sequence[str]:
        assert self.dataset_meta is not None
        return self.dataset_meta['classes']

    @property
    def _nothing(self) -> Tensor:
        """Zeros for the figures of one image, int64."""
        raise NotImplementedError

    def evaluate(self, size: int) -> dict[str, float]:
        """Results over the `size` images of the data set, the same on every process.

        Raises:
            ValueError: no image has anything to judge.
        """
        counts = self._sum.total(size, self._nothing)
        self._sum.reset()
        metrics = self.compute_metrics([counts])
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in metrics.items()}


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
