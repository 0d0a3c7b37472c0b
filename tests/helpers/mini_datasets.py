"""A miniature of each data set: a few small images in its real folders, with its real label encoding.

`make(name, root)` writes the files that the data set's evaluation reads and returns the folder for `--data-root`.
Labels cover the first and the last class, what is ignored, and what `reduce_zero_label` takes away.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((36, 48), (40, 33))  # height, width of the two images


def make(name: str, root: Path) -> Path:
    """Write the miniature of a data set of the table; `name` as in protocols.json."""
    MAKERS[name](root)
    return root


def voc(root: Path) -> None:
    """Palette PNG: 0 background, 1..20, 255 at borders."""
    names = ['2007_000033', '2007_000042']
    for name, size in zip(names, SIZES, strict=True):
        photo(root / f'JPEGImages/{name}.jpg', size)
        palette(root / f'SegmentationClass/{name}.png', labels(size, 0, 1, 20, 255))
    split(root / 'ImageSets/Segmentation/val.txt', names)


def context(root: Path) -> None:
    """0 background, 1..59."""
    names = ['2008_000002', '2008_000003']
    for name, size in zip(names, SIZES, strict=True):
        photo(root / f'JPEGImages/{name}.jpg', size)
        mask(root / f'SegmentationClassContext/{name}.png', labels(size, 0, 1, 59))
        mask(root / f'SegmentationClassContext459/{name}.png', labels(size, 0, 255, 300, 458, 65535))
    split(root / 'ImageSets/SegmentationContext/val.txt', names)


def coco(root: Path) -> None:
    """Label ids 0..181, train ids 0..170 and COCO-Object's 0..80 beside each other; 255 is unlabelled in both ids."""
    for number, size in zip((139, 285), SIZES, strict=True):
        photo(root / f'images/val2017/{number:012}.jpg', size)
        stem = root / f'annotations/val2017/{number:012}'
        mask(Path(f'{stem}.png'), labels(size, 0, 89, 91, 181, 255))
        mask(Path(f'{stem}_labelTrainIds.png'), labels(size, 0, 79, 80, 170, 255))
        mask(Path(f'{stem}_instanceTrainIds.png'), labels(size, 1, 80, 0, 0, 0))


def ade20k(root: Path) -> None:
    """0 nothing, 1..150."""
    for number, size in enumerate(SIZES, start=1):
        photo(root / f'images/validation/ADE_val_{number:08}.jpg', size)
        mask(root / f'annotations/validation/ADE_val_{number:08}.png', labels(size, 0, 1, 150))


def ade20k_847(root: Path) -> None:
    """16 bits: 0..846, 65535."""
    for number, size in enumerate(SIZES, start=1):
        photo(root / f'images_847/validation/ADE_val_{number:08}.jpg', size)
        path = root / f'annotations_847/validation/ADE_val_{number:08}.png'
        mask(path, labels(size, 0, 255, 256, 846, 65535))


def cityscapes(root: Path) -> None:
    """A folder for each town; train ids 0..18, 255, beside label ids 0..33."""
    for town, size in zip(('frankfurt', 'munster'), SIZES, strict=True):
        stem = f'{town}/{town}_000000_000019'
        photo(root / f'leftImg8bit/val/{stem}_leftImg8bit.png', size)
        mask(root / f'gtFine/val/{stem}_gtFine_labelIds.png', labels(size, 7, 33, 0, 4))
        mask(root / f'gtFine/val/{stem}_gtFine_labelTrainIds.png', labels(size, 0, 18, 255))


def scenes(root: Path) -> None:
    """0..13, both splits."""
    for part in ('val', 'heldout'):
        names = [f'{part}_{number:04}' for number in range(2)]
        for name in names:
            photo(root / f'JPEGImages/{name}.png', SIZES[0])
            mask(root / f'SegmentationClass/{name}.png', labels(SIZES[0], 0, 7, 13))
        split(root / f'ImageSets/Segmentation/{part}.txt', names)


MAKERS: dict[str, Callable[[Path], None]] = {
    'voc21': voc,
    'voc20': voc,
    'context59': context,
    'context60': context,
    'context459': context,
    'coco_object': coco,
    'coco_stuff164k': coco,
    'ade20k': ade20k,
    'ade20k_847': ade20k_847,
    'cityscapes': cityscapes,
    'scenes': scenes,
    'scenes_heldout': scenes,
}


def photo(path: Path, size: tuple[int, int]) -> None:
    """A random photo of a size (height, width)."""
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (*size, 3), np.uint8)
    save(path, pixels)


def labels(size: tuple[int, int], *values: int) -> np.ndarray:
    """Bands of these labels from left to right, in 16 bits where one of them needs it."""
    bands = np.array(values)[np.arange(size[1]) * len(values) // size[1]]
    return np.broadcast_to(bands, size).astype(np.uint16 if max(values) > 255 else np.uint8)


def mask(path: Path, values: np.ndarray) -> None:
    """A one-channel mask of 8 or 16 bits."""
    save(path, values)


def palette(path: Path, values: np.ndarray) -> None:
    """A mask with colours for viewers, as VOC's."""
    image = Image.fromarray(values)
    image.putpalette(list(range(256)) * 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def split(path: Path, names: list[str]) -> None:
    """One name a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(names) + '\n')
