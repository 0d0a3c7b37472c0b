"""PASCAL Context: the 459 classes of its MATLAB files -> masks of 59 classes with background, and of all 459.

    LabelMap (uint16)      59 classes, 8 bits     459 classes, 16 bits
    0                      0, background          65535, ignored
    1 .. 459               1 .. 59 where the class is one of the 59, else 0      0 .. 458

The 59 classes are found among the 459 by their names.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...environment.files import atomic_write
from ...vocabulary import class_names, read_text
from ..mask_encodings import IGNORED_16_BIT
from .jobs import Job
from .relabelling import relabel

EVALUATED_SPLIT = 'ImageSets/SegmentationContext/val.txt'  # the one that MMSeg reads
SPLITS = ('pascalcontext_val.txt', EVALUATED_SPLIT, 'ImageSets/Main/val.txt')  # the first that is there
DOWNLOAD = (
    'get trainval.tar.gz from https://cs.stanford.edu/~roozbeh/pascal-context/ and unpack it in VOC2010'
)


def context_jobs(root: Path, names: Sequence[str], classes: Iterable[int] = (59, 459)) -> list[Job]:
    """Masks of PASCAL Context.

    Args:
        root: VOC2010, with `trainval/<image>.mat` of PASCAL Context.
        names: of images.
        classes: 59 (with background, labels 0..59), 459 (labels 0..458) or both.
    """
    tables = {
        59: ('SegmentationClassContext', context_59() | {0: 0}),
        459: ('SegmentationClassContext459', context_459() | {0: IGNORED_16_BIT}),
    }
    jobs = []
    for folder, table in (tables[count] for count in tables if count in classes):
        for name in names:
            source = root / 'trainval' / f'{name}.mat'
            target = root / folder / f'{name}.png'
            jobs.append(Job(source, target, context_mask(source, table), remedy=DOWNLOAD))
    return jobs


def context_59() -> dict[int, int]:
    """Number among the 459 classes, from 1 -> label among the 59 and background."""
    names, kept = class_names('context459'), class_names('context59')
    return {number: kept.index(name) + 1 if name in kept else 0 for number, name in enumerate(names, start=1)}


def context_459() -> dict[int, int]:
    """Number among the 459 classes, from 1 -> label, from 0."""
    return {number: number - 1 for number in range(1, 460)}


def context_mask(path: Path, table: dict[int, int]) -> Callable[[], Image.Image]:
    """What reads a MATLAB file and returns its labels as a mask.

    Args:
        path: a file with a `LabelMap`.
        table: number in it -> label.
    """
    return lambda: Image.fromarray(relabel(label_map(path), table, path))


def label_map(path: Path) -> np.ndarray:
    """The `LabelMap` of a MATLAB file, "h w" uint16.

    Raises:
        ValueError: scipy is missing, or the file is damaged or holds something else.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise ValueError('scipy, which reads MATLAB files, is not installed: pip install scipy') from None
    try:
        labels = loadmat(str(path))['LabelMap']
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        raise ValueError(f'{path} has no LabelMap that can be read ({reason}): {DOWNLOAD}') from None
    if labels.dtype != np.uint16:
        raise ValueError(
            f'the LabelMap of {path} is {labels.dtype} and those of PASCAL Context are uint16: {DOWNLOAD}'
        )
    return labels


def context_split(root: Path) -> Path:
    """The list of validation images in VOC2010: CAT-Seg's, MMSeg's, or VOC 2010's own (which has one image more).

    Raises:
        FileNotFoundError: there is none.
    """
    for name in SPLITS:
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(
        f'{root} has none of {", ".join(SPLITS)}: give VOC2010, or a file of names with --split'
    )


def read_split(path: Path) -> list[str]:
    """Names of images, one a line.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it lists nothing, an image twice, or has lines of another form.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'the split {path} does not exist: give a file with one name of an image a line'
        )
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise ValueError(f'the split {path} lists no image: give a file with one name of an image a line')
    other = next((name for name in names if len(name.split()) > 1 or name.endswith('.jpg')), None)
    if other:
        raise ValueError(
            f'the split {path} has the line {other!r}: give a file with one name of an image a line, without its ending'
        )
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the split {path} lists {name!r} twice: an image is evaluated once')
    return names


def write_evaluated_split(root: Path, names: Sequence[str]) -> bool:
    """Make `EVALUATED_SPLIT` list these images; a file that lists them in any order is left alone.

    Args:
        root: VOC2010.
        names: of images.

    Returns:
        Whether the file was written.
    """
    path = root / EVALUATED_SPLIT
    if path.is_file() and sorted(read_text(path).split()) == sorted(names):
        return False
    text = ''.join(f'{name}\n' for name in names)
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding='utf-8'))
    return True
