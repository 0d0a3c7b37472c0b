"""A picture of every image of a test run: photo, truth, prediction and the classes that occur.

MMSeg's visualisation hook draws on the first process only and under base names, so that images of other processes, and
equal names in two folders, are lost. Here every process saves the images it owns, below the folder that all images
share.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
from mmengine import fileio
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...datasets.base_datasets import base_datasets, image_root
from ...models.variants import by_variant
from ...visualization.figures import save_picture
from ...visualization.label_maps import label_figure
from ...visualization.palette import class_colours
from ...visualization.panels import OPACITY, check_opacity
from ..metrics.distributed_sum import images_owned
from ..saved_predictions import file_name
from .progress import images_in


@HOOKS.register_module()
class SavePicturesHook(Hook):
    """Save a figure of every image once: photo, truth (where there is one), prediction, and the classes that occur.

    Args:
        folder: where JPEG files go, named as their images, below the folder that all images share; a model's variants
            have a folder each in it.
        opacity: of the colours, in [0, 1].
    """

    priority = 'LOW'

    def __init__(self, folder: str, opacity: float = OPACITY) -> None:
        self.folder = Path(folder)
        self.opacity = check_opacity(opacity)

    def before_test_epoch(self, runner: Runner) -> None:
        dataset = runner.test_dataloader.dataset
        self._root = image_root(dataset)
        self._backend_args = getattr(next(base_datasets(dataset)), 'backend_args', None)
        self._classes = list(dataset.metainfo['classes'])
        self._colours = class_colours(dataset.metainfo)
        rank, world = get_dist_info()
        self._left = images_owned(len(dataset), rank, world)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        found = by_variant(outputs or [])
        for variant, samples in found.items():
            for sample in samples[: self._left]:
                self._save(sample, self.folder / (variant or ''))
        self._left = max(0, self._left - images_in(outputs or []))

    def _save(self, sample: Any, folder: Path) -> None:
        """Draw and write the figure of one sample."""
        data = fileio.get(sample.img_path, backend_args=self._backend_args)
        image = mmcv.imfrombytes(data, channel_order='rgb')
        titles = {'truth': 'gt_sem_seg', 'prediction': 'pred_sem_seg'}
        maps = {
            title: sample.get(field).data[0].cpu().numpy()
            for title, field in titles.items()
            if field in sample
        }
        row = (image, list(maps.values()))
        figure = label_figure([row], ['image', *maps], self._classes, self._colours, self.opacity)
        save_picture(folder / file_name(sample.img_path, self._root, '.jpg'), figure)
