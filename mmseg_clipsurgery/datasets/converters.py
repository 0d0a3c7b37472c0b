"""Masks as published -> masks as evaluated, one file after another; what is there already is left alone.

    COCO-Stuff 164k   <image>.png label ids         -> <image>_labelTrainIds.png (171 classes)
    COCO-Object       the same label ids            -> <image>_instanceTrainIds.png (0 stuff, 1..80 things)
    Cityscapes        *_gtFine_labelIds.png         -> *_gtFine_labelTrainIds.png (19 classes)
    PASCAL Context    trainval/<image>.mat, 1..459  -> SegmentationClassContext/<image>.png (0 background, 1..59)
                                                    -> SegmentationClassContext459/<image>.png (0..458)
    ADE20K-847        <image>_seg.png, object number = R // 10 * 256 + G -> annotations_847/*/<image>.png (0..846)

The numbers are facts of the data sets; the 59 classes of PASCAL Context are found in its 459 by their names. ADE20K-847
is evaluated on images whose short side is at most 512 (MaskFormer's preparation, which every later paper took over), so
larger ones are made smaller: the image bilinearly, the mask by nearest neighbour. Different from it: JPEG quality 95.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from PIL import Image

from ..environment.files import atomic_write
from ..resources import RESOURCES
from ..vocabulary import read_lines
from .mask_encodings import DEEP_IGNORED, IGNORED, STUFF_GAPS

THINGS = 80  # the first classes of COCO-Stuff
LONGEST_SHORT_SIDE = 512  # pixels, of ADE20K-847's images
CITYSCAPES_EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
Report = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One file to make: its path, and what returns its content.

    make: called without arguments; returns an image for `PIL.Image.Image.save`, or a path to copy.
    options: of `save`.
    """

    target: Path
    make: Callable[[], 'Image.Image | Path']
    options: tuple[tuple[str, Any], ...] = ()


def run(jobs: Sequence[Job], report: Report = lambda line: None, threads: int = 8) -> tuple[int, int]:
    """Make the files that are not there yet; (made, already there).

    Raises:
        ValueError: a source holds a label that the data set does not have.
        FileNotFoundError: a source is missing.
    """
    left = [job for job in jobs if not job.target.is_file()]
    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(make, left), start=1):
            if done % 500 == 0:
                report(f'{done}/{len(left)} files made')
    return len(left), len(jobs) - len(left)


def make(job: Job) -> None:
    """Make one file, whole or not at all."""
    content = job.make()
    if isinstance(content, Path):
        atomic_write(job.target, lambda temporary: shutil.copyfile(content, temporary))
        return
    kind = {'.png': 'PNG', '.jpg': 'JPEG'}[job.target.suffix]
    atomic_write(job.target, lambda temporary: content.save(temporary, format=kind, **dict(job.options)))


def coco_jobs(root: Path, split: str = 'val2017', targets: Iterable[str] = ('stuff', 'object')) -> list[Job]:
    """Masks of COCO-Stuff and COCO-Object for every image of a split.

    Args:
        root: folder with `images/<split>` and `annotations/<split>`.
        targets: 'stuff', 'object' or both. Without label ids, COCO-Object is made from COCO-Stuff's train ids.

    Raises:
        FileNotFoundError: there are no images.
    """
    masks = root / 'annotations' / split
    jobs = []
    for image in files(root / 'images' / split, '*.jpg'):
        ids, train_ids = masks / f'{image.stem}.png', masks / f'{image.stem}_labelTrainIds.png'
        given_ids = ids.is_file() or not train_ids.is_file()
        source, table = (ids, coco_train_ids()) if given_ids else (train_ids, same(range(171)))
        if 'stuff' in targets:
            jobs.append(Job(train_ids, relabelled(source, table)))
        if 'object' in targets:
            things = {old: new + 1 if new < THINGS else 0 for old, new in table.items()}
            jobs.append(Job(masks / f'{image.stem}_instanceTrainIds.png', relabelled(source, things)))
    return jobs


def coco_train_ids() -> dict[int, int]:
    """COCO-Stuff's label id -> train id, 171 of them: the numbers in use, counted."""
    return {old: new for new, old in enumerate(number for number in range(182) if number not in STUFF_GAPS)}


def cityscapes_jobs(root: Path, split: str = 'val') -> list[Job]:
    """Train ids for every mask of label ids in `gtFine/<split>`; what is not evaluated is ignored."""
    table = dict.fromkeys(range(35), IGNORED) | {old: new for new, old in enumerate(CITYSCAPES_EVALUATED)}
    return [
        Job(source.with_name(source.name.replace('_labelIds', '_labelTrainIds')), relabelled(source, table))
        for source in files(root / 'gtFine' / split, '*/*_gtFine_labelIds.png')
    ]


def context_jobs(root: Path, split: Path, classes: Iterable[int] = (59, 459)) -> list[Job]:
    """Masks of PASCAL Context for the images of a split.

    Args:
        root: VOC2010, with `trainval/<image>.mat` of PASCAL Context.
        split: file with one image's name a line.
        classes: 59 (with background, labels 0..59), 459 (labels 0..458) or both.
    """
    names = split.read_text(encoding='utf-8').split()
    jobs = []
    for count, folder, lookup in (
        (59, 'SegmentationClassContext', context_59() | {0: 0}),
        (459, 'SegmentationClassContext459', {old: old - 1 for old in range(1, 460)} | {0: DEEP_IGNORED}),
    ):
        if count in classes:
            jobs += [
                Job(root / folder / f'{name}.png', context_mask(root / 'trainval' / f'{name}.mat', lookup))
                for name in names
            ]
    return jobs


def context_59() -> dict[int, int]:
    """Number among the 459 classes, from 1 -> label among the 59 and background."""
    names = read_lines(RESOURCES / 'vocabularies' / 'context459.txt')
    kept = read_lines(RESOURCES / 'vocabularies' / 'context59.txt')
    return {number: kept.index(name) + 1 if name in kept else 0 for number, name in enumerate(names, start=1)}


def context_mask(path: Path, table: dict[int, int]) -> Callable[[], Image.Image]:
    """A mask made from a MATLAB file's `LabelMap`."""

    def read() -> np.ndarray:
        try:
            from scipy.io import loadmat
        except ImportError:
            raise ValueError('scipy reads MATLAB files and is not installed: pip install scipy') from None
        return loadmat(str(path))['LabelMap']

    return lambda: Image.fromarray(relabel(read(), table, path, ignored=()))


def ade20k_847_jobs(root: Path, split: str = 'validation') -> list[Job]:
    """Images and masks of ADE20K-847.

    Args:
        root: ADE20K_2021_17_01, with `images/ADE/<split>/**/<image>.jpg` and `<image>_seg.png` beside it.
    """
    table = {
        int(number): label
        for label, number in enumerate(read_lines(RESOURCES / 'label_ids' / 'ade20k_847.txt'))
    }
    lookup = np.full(65536, DEEP_IGNORED, np.uint16)
    lookup[list(table)] = list(table.values())
    jobs = []
    for image in files(root / 'images' / 'ADE' / split, '**/*.jpg'):
        mask = image.with_name(f'{image.stem}_seg.png')
        quality = (('quality', 95),)
        jobs.append(Job(root / 'images_847' / split / image.name, smaller_image(image), quality))
        jobs.append(
            Job(root / 'annotations_847' / split / f'{image.stem}.png', ade20k_mask(mask, image, lookup))
        )
    return jobs


def smaller_image(path: Path) -> Callable[[], 'Image.Image | Path']:
    """The image at ADE20K-847's size, or its path where it has that size."""

    def made() -> Image.Image | Path:
        with Image.open(path) as image:
            size = ade20k_size(image.size)
            if size == image.size:
                return path
            pixels = np.asarray(image.convert('RGB'))
        return Image.fromarray(mmcv.imresize(pixels, size, interpolation='bilinear'))

    return made


def ade20k_mask(path: Path, image: Path, lookup: np.ndarray) -> Callable[[], Image.Image]:
    """The labels of a mask of the full ADE20K, at ADE20K-847's size."""

    def made() -> Image.Image:
        with Image.open(present(path)) as mask, Image.open(image) as photo:
            if mask.size != photo.size:
                raise ValueError(
                    f'{path} is {mask.size} and its image {photo.size} (width x height): get both anew'
                )
            colours = np.asarray(mask.convert('RGB')).astype(np.int64)
        labels = lookup[colours[..., 0] // 10 * 256 + colours[..., 1]]
        size = ade20k_size(mask.size)
        if size != mask.size:
            labels = mmcv.imresize(labels, size, interpolation='nearest')
        return Image.fromarray(labels)

    return made


def ade20k_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) with a short side of at most `LONGEST_SHORT_SIDE`, the ratio kept."""
    short = min(size)
    if short <= LONGEST_SHORT_SIDE:
        return size
    width, height = (round(side / short * LONGEST_SHORT_SIDE) for side in size)
    return width, height


def relabelled(path: Path, table: dict[int, int]) -> Callable[[], Image.Image]:
    """A mask of 8 bits with other labels; 255 stays."""

    def made() -> Image.Image:
        with Image.open(present(path)) as mask:
            labels = np.asarray(mask)
        return Image.fromarray(relabel(labels, table, path, ignored=(IGNORED,)))

    return made


def relabel(labels: np.ndarray, table: dict[int, int], path: Path, ignored: Sequence[int]) -> np.ndarray:
    """Labels "h w" with new numbers, in 8 bits where they fit.

    Raises:
        ValueError: a label that is neither in the table nor ignored; `path` is named.
    """
    if labels.ndim != 2:
        raise ValueError(f'{path} has {labels.shape[2]} channels and a mask of labels has one')
    table = table | {one: one for one in ignored}
    unknown = sorted(set(np.unique(labels).tolist()) - set(table))
    if unknown:
        raise ValueError(
            f'{path} holds label {unknown[-1]}, which its data set does not have: is it the published file?'
        )
    deep = max(table.values()) > IGNORED
    lookup = np.zeros(max(table) + 1, np.uint16 if deep else np.uint8)
    lookup[list(table)] = list(table.values())
    return lookup[labels]


def same(labels: Iterable[int]) -> dict[int, int]:
    """Labels that stay what they are."""
    return {label: label for label in labels}


def files(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder, sorted.

    Raises:
        FileNotFoundError: there are none.
    """
    found = sorted(folder.glob(pattern))
    if not found:
        raise FileNotFoundError(
            f'no {pattern} in {folder}: give the folder of the data set as docs/datasets.md shows it'
        )
    return found


def present(path: Path) -> Path:
    """The path of a source that must be there."""
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist: download the masks of the data set, see docs/datasets.md'
        )
    return path
