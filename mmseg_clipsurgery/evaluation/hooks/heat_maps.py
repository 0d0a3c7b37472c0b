"""A hook for MMSeg's test loop: heat maps of chosen classes beside the label map, in the configured backends.

    model = dict(test_cfg=dict(maps=True))                       maps by an explainer: explainer='legrad' beside it
    custom_hooks = [dict(type='HeatMapsHook', classes=['cat', 'sofa'], interval=10)]
    vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]

MMEngine's visualiser draws on the first process only, so the hook hands its pictures to the backends itself, and every
process draws its own images.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch.nn.functional as F
from mmengine import fileio
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from PIL import Image

from ...datasets.base_datasets import base_datasets
from ...environment.numbers import check_count
from ...explain import unit_range
from ...models.variants import by_variant
from ...visualization.figures import gallery, stack, title_size
from ...visualization.label_maps import class_key, classes_by_area, label_overlay
from ...visualization.legends import heat_key
from ...visualization.palette import class_colours
from ...visualization.panels import OPACITY, check_opacity, heat_overlay, panel, panel_size
from .progress import images_in


@HOOKS.register_module()
class HeatMapsHook(Hook):
    """Draw image, label map and heat maps of classes, for every `interval`-th image of a process.

    Args:
        classes: names; None: in each image, the `most` classes of its label map with the largest area.
        interval: 1 draws all images.
        most: heat maps a picture, where `classes` is None.
        opacity: of colours and heat, in [0, 1].

    Raises:
        ValueError: a class the data set does not have, or a model without `class_maps` (`test_cfg.maps=True`).
    """

    priority = 'LOW'

    def __init__(
        self, classes: Sequence[str] | None = None, interval: int = 1, most: int = 3, opacity: float = OPACITY
    ) -> None:
        check_count('interval', interval)
        check_count('most', most)
        self.classes = None if classes is None else list(classes)
        self.interval = interval
        self.most = most
        self.opacity = check_opacity(opacity)

    def before_test_epoch(self, runner: Runner) -> None:
        dataset = runner.test_dataloader.dataset
        self._names = list(dataset.metainfo['classes'])
        unknown = [name for name in self.classes or [] if name not in self._names]
        if unknown:
            raise ValueError(f'HeatMapsHook: no class {unknown[0]!r}; there are {", ".join(self._names)}')
        self._colours = class_colours(dataset.metainfo)
        self._backend_args = getattr(next(base_datasets(dataset)), 'backend_args', None)
        self._seen = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        rank, world = get_dist_info()
        for variant, samples in by_variant(outputs or []).items():
            folder = f'heat_maps/{variant}' if variant else 'heat_maps'
            for seen, sample in enumerate(samples, start=self._seen):
                if seen % self.interval:
                    continue
                index = seen * world + rank  # as MMEngine's sampler deals images out
                picture = np.asarray(self.draw(sample).convert('RGB'))
                for backend in runner.visualizer._vis_backends.values():
                    backend.add_image(f'{folder}/{Path(sample.img_path).stem}', picture, step=index)
        self._seen += images_in(outputs or [])

    def draw(self, sample: Any) -> Image.Image:
        """The figure of one sample: photo, label map, heat maps, and keys of both kinds of colours.

        Raises:
            ValueError: the model gives no `class_maps`, or those of depicted classes alone.
        """
        if 'class_maps' not in sample:
            raise ValueError('HeatMapsHook: the model gives no class_maps; set model.test_cfg.maps=True')
        if 'map_classes' in sample:
            raise ValueError(
                'HeatMapsHook: the model gives maps of depicted classes alone; set model.test_cfg.maps=True'
            )
        data = fileio.get(sample.img_path, backend_args=self._backend_args)
        pixels = mmcv.imfrombytes(data, channel_order='rgb')
        labels = sample.pred_sem_seg.data[0].cpu().numpy()
        photo = panel(pixels)
        label_map = label_overlay(pixels, labels, self._colours, self.opacity)
        picture = gallery(
            [('image', photo), ('labels', label_map), *self._heat_panels(sample, pixels, labels)]
        )
        size = title_size(photo.width)
        classes = class_key([labels], self._names, self._colours, picture.width, size)
        heat = heat_key(picture.width, size, note='each map on its own scale')
        return stack([picture, classes, heat])

    def _heat_panels(
        self, sample: Any, pixels: np.ndarray, labels: np.ndarray
    ) -> list[tuple[str, Image.Image]]:
        """(Class name, photo under its heat map) of each class that is drawn."""
        drawn = self.shown(labels)
        maps = unit_range(sample.class_maps.data[drawn].float())
        heats = F.interpolate(maps[None], size=panel_size(pixels), mode='bilinear')[0].cpu().numpy()
        return [
            (self._names[k], heat_overlay(pixels, heat, self.opacity))
            for k, heat in zip(drawn, heats, strict=True)
        ]

    def shown(self, labels: np.ndarray) -> list[int]:
        """Indices of the classes whose heat maps are drawn.

        Args:
            labels: predicted label map "H W".
        """
        if self.classes is not None:
            return [self._names.index(name) for name in self.classes]
        return classes_by_area([labels], len(self._names))[: self.most]
