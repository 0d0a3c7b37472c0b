"""The data sets that read files, below wrappers (`dataset`) and concatenations (`datasets`): built ones and configs."""

import os
from collections.abc import Iterable, Iterator
from typing import Any


def base_datasets(dataset: Any) -> Iterator[Any]:
    """The data sets that read files, in order.

    Args:
        dataset: a built MMSeg data set, a wrapper or a concatenation.
    """
    wrapped = getattr(dataset, 'dataset', None)
    inner = getattr(dataset, 'datasets', None) or ([] if wrapped is None else [wrapped])
    if not inner:
        yield dataset
    for part in inner:
        yield from base_datasets(part)


def dataset_configs(source: Any) -> Iterator[Any]:
    """The configs of the data sets that read files, in order.

    Args:
        source: the config of a data set, a wrapper or a concatenation.
    """
    inner = source.get('datasets') or ([source['dataset']] if 'dataset' in source else [])
    if not inner:
        yield source
    for part in inner:
        yield from dataset_configs(part)


def image_root(dataset: Any) -> str | None:
    """The deepest folder that holds all images of a built data set, or None if there is none."""
    return common_folder(
        base.get_data_info(index).get('img_path', '')
        for base in base_datasets(dataset)
        for index in range(len(base))
    )


def common_folder(image_paths: Iterable[str]) -> str | None:
    """The deepest folder that holds all images, or None if there is none."""
    folders = {os.path.dirname(path) for path in image_paths}
    try:
        return os.path.commonpath(folders) if folders else None
    except ValueError:
        return None
