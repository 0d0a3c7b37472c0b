"""A data set on disk, before a run: its folders, its split, its count, and the pairs of image and mask to look at.

`mask_check` looks at them. `evaluation.audit` and the preflight share all of it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from mmseg.registry import DATASETS

from .mask_check import MaskEncoding, Pair
from .mask_encodings import KNOWN


def dataset_configs(source: Any) -> Iterator[Any]:
    """Configs of the data sets that read files, through wrappers and concatenations."""
    inner = source.get('datasets') or ([source['dataset']] if 'dataset' in source else [])
    if not inner:
        yield source
    for one in inner:
        yield from dataset_configs(one)


def check_folders(source: Mapping[str, Any]) -> None:
    """Data root, folders and split file of one data set's config; addresses of other storage are not looked at."""
    root = source.get('data_root')
    if not root or source.get('backend_args'):
        return
    if not os.path.isdir(root):
        raise FileNotFoundError(
            f'the data root {root} of {source.get("type")} does not exist: give the folder with --data-root'
        )
    for name, folder in (source.get('data_prefix') or {}).items():
        if isinstance(folder, str) and not os.path.isdir(os.path.join(root, folder)):
            raise FileNotFoundError(
                f'the folder {os.path.join(root, folder)} ({name}) does not exist: is {root} the right --data-root?'
            )
    split = source.get('ann_file')
    if split and not os.path.exists(os.path.join(root, split)):
        raise FileNotFoundError(
            f'the split file {os.path.join(root, split)} does not exist: is {root} the right --data-root?'
        )


def build_dataset(source: Mapping[str, Any]) -> Any:
    """The data set of a config with its list of files and no pipeline."""
    source = deepcopy(dict(source))
    for one in dataset_configs(source):
        one.update(pipeline=[], test_mode=True, serialize_data=False)
    return DATASETS.build(source)


def pairs_of(dataset: Any, ignore_index: int, needs_masks: bool) -> Iterator[Pair]:
    """The pairs of one data set that reads files."""
    count = len(dataset.label_map or dataset.metainfo['classes'])
    rules = MaskEncoding(count, ignore_index, bool(dataset.reduce_zero_label))
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        mask = info.get('seg_map_path') if needs_masks else None
        yield Pair(info['img_path'], mask, type(dataset).__name__, rules)


def count_notes(pairs: Sequence[Pair]) -> list[str]:
    """Known data sets of which there are more or fewer images than their evaluated split has."""
    notes = []
    for kind in {pair.kind: None for pair in pairs if pair.kind in KNOWN}:
        known, found = KNOWN[kind], sum(pair.kind == kind for pair in pairs)
        if found not in known.images:
            expected = ' or '.join(map(str, known.images))
            notes.append(
                f'there are {found} images and {known.title} has {expected}: figures are not comparable with published '
                'ones until the data set is complete'
            )
    return notes
