"""ADE20K-847: the object numbers of the full ADE20K -> labels 0 .. 846, 65535 where an object is not evaluated.

It is evaluated on images whose short side is at most 512 (MaskFormer's preparation, which every later paper took over),
so larger ones are made smaller: the image bilinearly, the mask by nearest neighbour. Chosen here: JPEG quality 95.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ...resources import RESOURCES
from ...vocabulary import read_lines
from ..mask_encodings import IGNORED_16_BIT
from .jobs import Content, Job, files
from .relabelling import check_same_size, pixels, stated_size

LONGEST_SHORT_SIDE = 512  # pixels
QUALITY = (('quality', 95),)  # of JPEG


def ade20k_847_jobs(root: Path, split: str = 'validation') -> list[Job]:
    """Images and masks of ADE20K-847.

    Args:
        root: ADE20K_2021_17_01, with `images/ADE/<split>/**/<image>.jpg` and `<image>_seg.png` beside it.
        split: its folder of images.

    Raises:
        FileNotFoundError: there are no images.
    """
    labels = label_of_object()
    jobs = []
    for image in files(root / 'images' / 'ADE' / split, '**/*.jpg'):
        mask = image.with_name(f'{image.stem}_seg.png')
        image_target = root / 'images_847' / split / image.name
        mask_target = root / 'annotations_847' / split / f'{image.stem}.png'
        jobs.append(Job(image, image_target, smaller_image(image), QUALITY))
        jobs.append(Job(mask, mask_target, smaller_mask(mask, image, labels)))
    return jobs


def label_of_object() -> np.ndarray:
    """Label of each object number, "65536" uint16."""
    numbers = [int(number) for number in read_lines(RESOURCES / 'label_ids' / 'ade20k_847.txt')]
    labels = np.full(65536, IGNORED_16_BIT, np.uint16)
    labels[numbers] = np.arange(len(numbers))
    return labels


def smaller_image(path: Path) -> Callable[[], Content]:
    """What returns the image at ADE20K-847's size, or its path where it has that size."""

    def made() -> Content:
        size = evaluated_size(stated_size(path))
        if size == stated_size(path):
            return path
        return Image.fromarray(cv2.resize(pixels(path, 'RGB'), size, interpolation=cv2.INTER_LINEAR))

    return made


def smaller_mask(path: Path, image: Path, labels: np.ndarray) -> Callable[[], Image.Image]:
    """What returns the labels of a mask of the full ADE20K at ADE20K-847's size.

    Args:
        path: the mask, object number = R // 10 * 256 + G.
        image: its photo, which has the same size.
        labels: of each object number, see `label_of_object`.
    """

    def made() -> Image.Image:
        colours = pixels(path)
        if colours.ndim != 3 or colours.shape[2] != 3:
            channels = 1 if colours.ndim == 2 else colours.shape[2]
            raise ValueError(
                f'{path} has {channels} channels and a mask of the full ADE20K has 3: is it the published file?'
            )
        own = check_same_size(path, image)
        red, green = colours[..., 0].astype(np.int64), colours[..., 1]
        found = labels[red // 10 * 256 + green]
        size = evaluated_size(own)
        if size != own:
            found = cv2.resize(found, size, interpolation=cv2.INTER_NEAREST)
        return Image.fromarray(found)

    return made


def evaluated_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) with a short side of at most `LONGEST_SHORT_SIDE`, the ratio kept."""
    short = min(size)
    if short <= LONGEST_SHORT_SIDE:
        return size
    width, height = (round(side / short * LONGEST_SHORT_SIDE) for side in size)
    return width, height
