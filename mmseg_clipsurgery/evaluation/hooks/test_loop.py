"""Hooks of a test run: progress with the time left, pictures from every process, errors that name the file.

The test tool adds them; a config of your own may list them in `custom_hooks`. MMSeg's visualisation hook draws on the
first process only and under base names, so that images of other processes, and equal names in two folders, are lost.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mmcv
from mmengine import fileio
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...environment.files import atomic_write
from ...environment.progress import progress_line
from ...visualization.drawing import classes_by_area, overlay, picture
from ...visualization.palette import voc_palette
from ..saved_predictions import common_folder, file_name


class UnreadableFile(ValueError):
    """An image or mask that the data pipeline could not load; the message names it."""


@HOOKS.register_module()
class ProgressHook(Hook):
    """Images done, images per second and time left: one line rewritten on a terminal, else a log line now and then.

    Args:
        interval: seconds between two log lines.

    After the run: `seconds` of the test loop without the metric's summary, and `first_batch_seconds`, in which text is
    embedded and memory is set up.
    """

    priority = 'VERY_LOW'

    def __init__(self, interval: float = 10.0) -> None:
        self.interval = interval
        self.seconds = self.first_batch_seconds = 0.0
        self._done = self._first_batch = 0

    def before_test_epoch(self, runner: Runner) -> None:
        self._start = self._last = time.perf_counter()
        self._done = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        now = time.perf_counter()
        self.seconds = now - self._start
        self._done += len(outputs or [])
        if batch_idx == 0:
            self.first_batch_seconds, self._first_batch = self.seconds, self._done
        rank, world = get_dist_info()
        total = len(runner.test_dataloader.dataset)
        last = batch_idx + 1 == len(runner.test_dataloader)
        live = sys.stderr.isatty()
        if rank != 0 or not (last or now - self._last >= (0.2 if live else self.interval)):
            return
        self._last = now
        line = progress_line(min(self._done * world, total), total, self._rate() * world)
        if live:
            print(f'\r{line}  ', end='\n' if last else '', file=sys.stderr, flush=True)
        else:
            runner.logger.info(line)

    def _rate(self) -> float:
        """Images per second of this process; the first batch, which is slow, counts while there is no other."""
        if self._done > self._first_batch:
            return (self._done - self._first_batch) / (self.seconds - self.first_batch_seconds)
        return self._done / self.seconds

    def speed(self, images: int) -> dict[str, float | None]:
        """Seconds and images per second, also without the first batch; images: of all processes together."""
        rest = self.seconds - self.first_batch_seconds
        later = images - min(images, self._first_batch * get_dist_info()[1])
        return {
            'seconds': round(self.seconds, 3),
            'images_per_second': round(images / self.seconds, 3) if self.seconds else None,
            'first_batch_seconds': round(self.first_batch_seconds, 3),
            'images_per_second_after_first_batch': round(later / rest, 3) if later and rest else None,
        }


@HOOKS.register_module()
class SavePicturesHook(Hook):
    """Save a picture of every image, once, from every process: image, truth (where there is one), prediction, legend.

    Args:
        folder: where; names are those of the images, below the folder that all images share.
        opacity: of the colours, in [0, 1].
    """

    priority = 'LOW'

    def __init__(self, folder: str, opacity: float = 0.6) -> None:
        self.folder = Path(folder)
        self.opacity = opacity

    def before_test_epoch(self, runner: Runner) -> None:
        dataset = runner.test_dataloader.dataset
        self._root = image_root(dataset)
        self._backend_args = getattr(next(base_datasets(dataset)), 'backend_args', None)
        self._classes = list(dataset.metainfo['classes'])
        given = dataset.metainfo.get('palette') or []
        enough = len(given) == len(self._classes)
        self._colours = given if enough else voc_palette(len(self._classes))
        rank, world = get_dist_info()
        # The sampler repeats images at the end of a process's share; the owner saves them.
        self._left = max(0, -((rank - len(dataset)) // world))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        for sample in (outputs or [])[: self._left]:
            self._save(sample)
        self._left = max(0, self._left - len(outputs or []))

    def _save(self, sample: Any) -> None:
        data = fileio.get(sample.img_path, backend_args=self._backend_args)
        image = mmcv.imfrombytes(data, channel_order='rgb')
        names = ['gt_sem_seg'] if 'gt_sem_seg' in sample else []
        maps = [sample.get(name).data[0].cpu().numpy() for name in [*names, 'pred_sem_seg']]
        panels = [image, *(overlay(image, labels, self._colours, self.opacity) for labels in maps)]
        shown = classes_by_area(maps, len(self._classes))
        legend = [(self._classes[index], self._colours[index]) for index in shown]
        drawn = picture(
            [panels], ['image', 'truth', 'prediction'] if names else ['image', 'prediction'], legend
        )
        path = self.folder / file_name(sample.img_path, self._root, '.jpg')
        atomic_write(path, lambda temporary: drawn.save(temporary, format='JPEG', quality=90))


@HOOKS.register_module()
class NameUnreadableFilesHook(Hook):
    """Let an error of the data pipeline name the image and mask it happened on."""

    def before_test(self, runner: Runner) -> None:
        for dataset in base_datasets(runner.test_dataloader.dataset):
            if not isinstance(dataset.pipeline, NamingPipeline):
                dataset.pipeline = NamingPipeline(dataset.pipeline)


class NamingPipeline:
    """A data pipeline whose errors become `UnreadableFile`."""

    def __init__(self, pipeline: Callable[[dict], Any]) -> None:
        self.pipeline = pipeline

    def __getattr__(self, name: str) -> Any:
        if name == 'pipeline':  # not there yet while a worker process unpickles this
            raise AttributeError(name)
        return getattr(self.pipeline, name)

    def __call__(self, info: dict) -> Any:
        image, mask = info.get('img_path'), info.get('seg_map_path')
        try:
            return self.pipeline(info)
        except Exception as error:
            reason = ' '.join(f'{type(error).__name__}: {error}'.split())
            with_mask = f' (with mask {mask})' if mask else ''
            raise UnreadableFile(f'{image}{with_mask} could not be loaded: {reason}') from error


def base_datasets(dataset: Any) -> Iterator[Any]:
    """The data sets that read files: through wrappers (`dataset`) and concatenations (`datasets`)."""
    inner = getattr(dataset, 'datasets', None) or [one for one in [getattr(dataset, 'dataset', None)] if one]
    if not inner:
        yield dataset
    for one in inner:
        yield from base_datasets(one)


def image_root(dataset: Any) -> str | None:
    """The folder that holds all images of a data set."""
    images = (
        leaf.get_data_info(index).get('img_path', '')
        for leaf in base_datasets(dataset)
        for index in range(len(leaf))
    )
    return common_folder(images)
