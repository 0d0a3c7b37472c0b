"""Errors of the data pipeline that name the image and mask they happened on.

A file is looked at before it is loaded: OpenCV decodes a picture of gigabytes, and the preflight may be switched off.
"""

import os
from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...datasets.base_datasets import base_datasets
from ...inference.image_formats import refuse_bomb


class UnreadableFile(ValueError):
    """An image or mask that the data pipeline could not load; the message names it."""


@HOOKS.register_module()
class NameUnreadableFilesHook(Hook):
    """Let an error of the data pipeline name the image and mask it happened on."""

    def before_test(self, runner: Runner) -> None:
        for dataset in base_datasets(runner.test_dataloader.dataset):
            if not isinstance(dataset.pipeline, NamingPipeline):
                dataset.pipeline = NamingPipeline(dataset.pipeline)


class NamingPipeline:
    """A data pipeline whose errors become `UnreadableFile`.

    Args:
        pipeline: what loads and transforms an image's record.
    """

    def __init__(self, pipeline: Callable[[dict], Any]) -> None:
        self.pipeline = pipeline

    def __getattr__(self, name: str) -> Any:
        if name == 'pipeline':  # not there yet while a worker process unpickles this
            raise AttributeError(name)
        return getattr(self.pipeline, name)

    def __call__(self, info: dict) -> Any:
        image, mask = info.get('img_path'), info.get('seg_map_path')
        try:
            for path in (image, mask):
                if isinstance(path, str) and os.path.isfile(path):
                    refuse_bomb(path)
            return self.pipeline(info)
        except Exception as error:
            reason = ' '.join(f'{type(error).__name__}: {error}'.split())
            with_mask = f' (with mask {mask})' if mask else ''
            raise UnreadableFile(f'{image}{with_mask} could not be loaded: {reason}') from error
