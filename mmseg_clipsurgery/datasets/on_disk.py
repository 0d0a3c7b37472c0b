"""A data set on disk, before a run: its folders, its split, its count, and the pairs of image and mask to look at.

`mask_check` looks at them. `evaluation.audit` and the preflight share all of it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from ..environment import mmseg_ready  # noqa: F401 - before mmseg

# isort: split
from mmseg.registry import DATASETS

from .base_datasets import base_datasets, dataset_configs
from .mask_check import Pair
from .mask_encodings import KNOWN
from .mask_labels import MaskEncoding

LISTS = {
    'NUSWideDataset': 'make it with python -m mmseg_clipsurgery convert nus-wide',
    'OpenImagesPointsDataset': 'make it with python -m mmseg_clipsurgery convert openimages',
}  # data sets whose split file is made by a converter
MOST_NAMED = 10  # split files in a message


def check_folders(source: Mapping[str, Any]) -> None:
    """Data root, folders and split file of one data set's config; addresses of other storage are not looked at.

    Raises:
        FileNotFoundError: one of them does not exist.
    """
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
    made = f'{LISTS[str(source.get("type"))]}, or ' if source.get('type') in LISTS else ''
    check_split_file(root, source.get('ann_file'), f'{made}is {root} the right --data-root?')


def check_split_file(root: str | os.PathLike, split: str | None, remedy: str) -> None:
    """Raises FileNotFoundError, with those beside it, for a split file below `root` that is not there."""
    if not split or os.path.exists(path := os.path.join(root, split)):
        return
    listed = sorted(beside.name for beside in Path(path).parent.glob(f'*{Path(path).suffix or ".txt"}'))
    there = ', '.join(listed[:MOST_NAMED]) + (', ...' if len(listed) > MOST_NAMED else '')
    said = f'; beside it are {there}' if there else ''
    raise FileNotFoundError(f'the split file {path} does not exist{said}: {remedy}')


def build_dataset(source: Mapping[str, Any]) -> Any:
    """Build the data set of a config with its list of files and no pipeline."""
    source = deepcopy(dict(source))
    for base in dataset_configs(source):
        base.update(pipeline=[], test_mode=True, serialize_data=False)
    return DATASETS.build(source)


def loads_upright(pipeline: Sequence[Any]) -> bool:
    """Whether a pipeline's loader turns images by their EXIF orientation, as OpenCV and Pillow do unless told."""
    loaders = [step for step in pipeline if 'LoadImage' in str(step.get('type'))]
    ways = [str(step.get('color_type', 'color')) for step in loaders]
    backends = {step.get('imdecode_backend') for step in loaders}
    return not (
        backends & {'turbojpeg', 'tifffile'}
        or any('ignore_orientation' in way or way == 'unchanged' for way in ways)
    )


def all_pairs(dataset: Any, source: Mapping[str, Any], ignore_index: int, needs_masks: bool) -> list[Pair]:
    """The images of a data set, of all that it is made of.

    Args:
        dataset: built by `build_dataset`.
        source: its config, whose pipelines say how images are loaded.
        ignore_index, needs_masks: as for `pairs_of`.
    """
    parts = zip(base_datasets(dataset), dataset_configs(source), strict=True)
    return [
        pair
        for base, config in parts
        for pair in pairs_of(base, ignore_index, needs_masks, loads_upright(pipeline_of(config, source)))
    ]


def pipeline_of(config: Mapping[str, Any], source: Mapping[str, Any]) -> Sequence[Any]:
    """The pipeline of one data set, or that of what it stands in."""
    return config.get('pipeline') or source.get('pipeline') or []


def pairs_of(dataset: Any, ignore_index: int, needs_masks: bool, upright: bool = True) -> Iterator[Pair]:
    """The images of one data set that reads files, each with its mask.

    Args:
        dataset: a built data set, no wrapper.
        ignore_index: the label that the evaluator leaves out.
        needs_masks: whether masks are looked at.
        upright: see `loads_upright`.
    """
    kind = type(dataset).__name__
    names = () if dataset.label_map else tuple(dataset.metainfo['classes'])
    ignored = ignore_index if kind not in KNOWN or KNOWN[kind].ignores else None
    rules = MaskEncoding(
        len(dataset.label_map or names),
        ignored,
        reduce_zero_label=bool(dataset.reduce_zero_label),
        names=names,
    )
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        mask = info.get('seg_map_path') if needs_masks else None
        yield Pair(info['img_path'], mask, kind, rules, upright)


def count_notes(pairs: Sequence[Pair]) -> list[str]:
    """A sentence for each known data set that has more or fewer images than its evaluated split."""
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
