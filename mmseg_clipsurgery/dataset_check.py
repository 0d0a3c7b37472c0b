"""A data set on disk: its folders, its split, and every image and mask of it, checked before a run.

Every file is decoded (in threads: seconds for a thousand photos), as truncated ones are otherwise met hours into a run.
A mask is read as the data set's own loader would:

    label on file          without reduce_zero_label      with it
    0                      class 0                        ignored
    1 .. k - 1             class 1 .. k - 1               class 0 .. k - 2
    k                      an error                       class k - 1
    ignore_index           ignored                        ignored
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmseg.registry import DATASETS
from PIL import Image

ORIENTATION = 0x0112  # EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values that exchange height and width, as the image loader does too
SHOWN = 3  # problems written out in a message


@dataclass(frozen=True)
class LabelRules:
    """Which labels may stand in a mask file.

    classes: number of classes of the mask files (before a selection of classes).
    ignore_index: the label that the evaluator leaves out.
    reduce_zero_label: whether 0 is ignored and the others move down by one.
    """

    classes: int
    ignore_index: int = 255
    reduce_zero_label: bool = False

    def illegal(self, labels: np.ndarray) -> list[int]:
        """Values of a mask "h w" that are neither a class nor ignored."""
        if labels.dtype == np.uint8:
            found = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
        else:
            found = np.unique(labels)
        highest = self.classes - 1 + int(self.reduce_zero_label)
        return [int(one) for one in found if not 0 <= one <= highest and one != self.ignore_index]

    def __str__(self) -> str:
        first = int(self.reduce_zero_label)
        zero = '0 and ' if first else ''
        return f'{self.classes} classes are {first}..{self.classes - 1 + first}, ignored {zero}{self.ignore_index}'


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


def pairs_of(
    dataset: Any, ignore_index: int, needs_masks: bool
) -> Iterator[tuple[str, str | None, LabelRules]]:
    """(image, mask or None, rules for its labels) of each sample of one data set."""
    count = len(dataset.label_map or dataset.metainfo['classes'])
    rules = LabelRules(count, ignore_index, bool(dataset.reduce_zero_label))
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        yield info['img_path'], info.get('seg_map_path') if needs_masks else None, rules


def check_files(files: Sequence[tuple[str, str | None, LabelRules]], report: Callable[[str], None]) -> None:
    """Existence of all files, then their content."""
    images = [image for image, _, _ in files]
    masks = [mask for _, mask, _ in files if mask is not None]
    for kind, listed in (('image', images), ('mask', masks)):
        missing = [path for path in listed if not os.path.isfile(path)]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(listed)} listed {kind}s do not exist: {_first(missing)}; '
                'complete the data set or take the lines out of the split'
            )
    Image.init()  # plugins, before threads ask for them
    problems = []
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        for done, problem in enumerate(pool.map(problem_of, files), start=1):
            problems += [problem] if problem else []
            if done % 500 == 0:
                report(f'preflight: {done}/{len(files)} images checked')
    if problems:
        raise ValueError(f'{len(problems)} of {len(files)} images or masks are wrong: {_first(problems)}')


def problem_of(files: tuple[str, str | None, LabelRules]) -> str | None:
    """What is wrong with one image and its mask, in a clause; None if nothing is."""
    image, mask, rules = files
    try:
        size = image_size(image)
    except Exception as error:
        return f'{image} cannot be decoded ({error})'
    if mask is None:
        return None
    try:
        with Image.open(mask) as opened:
            labels = np.asarray(opened)
    except Exception as error:
        return f'{mask} cannot be decoded ({error})'
    if labels.ndim != 2:
        return f'{mask} has {labels.shape[2]} channels and a mask has one'
    if labels.shape != size:
        return f'{mask} is {_by(labels.shape)} and its image {_by(size)} (height x width)'
    illegal = rules.illegal(labels)
    if illegal:
        return f'{mask} holds label {illegal[-1]} ({rules}): its labels are in another encoding or of another data set'
    return None


def image_size(path: str) -> tuple[int, int]:
    """(height, width) of an image as loaded, after decoding all of it, at reduced size where the format allows."""
    with Image.open(path) as image:
        width, height = image.size
        sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
        image.draft('L', (width // 8, height // 8))
        image.load()
    return (width, height) if sideways else (height, width)


def _by(size: Sequence[int]) -> str:
    return ' x '.join(map(str, size))


def _first(items: Sequence[str]) -> str:
    return '; '.join(items[:SHOWN]) + ('; ...' if len(items) > SHOWN else '')
