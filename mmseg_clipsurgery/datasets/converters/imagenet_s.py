"""ImageNet-S: class numbers in colours -> labels 0 (all else) .. 919 in 16 bits, 65535 where a pixel is not evaluated.

    validation-segmentation/<WordNet id>/<image>.png    RGB, class number = R + 256 G; 0 all else, 1000 ignored
    -> validation-labels/<WordNet id>/<image>.png       16 bits

The class numbers count the WordNet ids in order, from 1; ImageNet-S-50 and -300 count their own. In ImageNet-S-919 five
classes of ImageNet count as others.

Source: Gao et al., Large-scale Unsupervised Semantic Segmentation (arXiv 2106.03149); its repository LUSSeg/ImageNet-S.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ...resources import RESOURCES
from ...vocabulary import read_lines
from ..mask_encodings import IGNORED_16_BIT
from .jobs import Job, files
from .relabelling import check_same_size, pixels, relabel

CLASSES = (50, 300, 919)
IGNORED = 1000
MERGED = {
    'n04356056': 'n04355933',  # sunglasses: sunglass
    'n04493381': 'n02808440',  # tub: bathtub
    'n03642806': 'n03832673',  # laptop: notebook
    'n04008634': 'n03773504',  # projectile: missile
    'n03887697': 'n15075141',  # paper towel: toilet tissue
}
DOWNLOAD = 'get its image from ImageNet as the repository LUSSeg/ImageNet-S says'


def imagenet_s_jobs(root: Path, classes: int | None = None, split: str = 'validation') -> list[Job]:
    """Labels for every mask of a split.

    Args:
        root: ImageNetS50, ImageNetS300 or ImageNetS919, with `<split>` and `<split>-segmentation`.
        classes: 50, 300 or 919; None: as the folder's name says.
        split: its folder of images.

    Raises:
        FileNotFoundError: there are no masks.
        ValueError: the folder's name says no number of classes, or a folder of masks is no class of the data set.
    """
    classes = classes or named_classes(root)
    known = {*wordnet_ids(classes), *(MERGED if classes == 919 else ())}
    masks = files(root / f'{split}-segmentation', '*/*.png')
    for folder in sorted({mask.parent.name for mask in masks} - known):
        raise ValueError(
            f'{masks[0].parent.parent / folder} is no class of ImageNet-S-{classes}: give --classes, or the folder of '
            'that data set'
        )
    table = {label: label for label in range(classes + 1)} | {IGNORED: IGNORED_16_BIT}
    jobs = []
    for mask in masks:
        image = root / split / mask.parent.name / f'{mask.stem}.JPEG'
        target = root / f'{split}-labels' / mask.parent.name / mask.name
        jobs.append(Job(image, target, labelled(mask, image, table), remedy=DOWNLOAD))
    return jobs


def named_classes(root: Path) -> int:
    """The number of classes that a folder is named after. Raises ValueError where there is none."""
    name = root.resolve().name
    for classes in CLASSES:
        if name == f'ImageNetS{classes}':
            return classes
    raise ValueError(
        f'the folder {name} is none of {", ".join(f"ImageNetS{classes}" for classes in CLASSES)}: give one of them, '
        'or --classes'
    )


def wordnet_ids(classes: int) -> list[str]:
    """WordNet ids in label order, from label 1."""
    return read_lines(RESOURCES / 'label_ids' / f'imagenet_s{classes}.txt')


def labelled(path: Path, image: Path, table: dict[int, int]) -> Callable[[], Image.Image]:
    """What returns the labels of a mask.

    Args:
        path: the mask, class number = R + 256 G.
        image: its photo, which has the same size.
        table: class number -> label.
    """

    def made() -> Image.Image:
        colours = pixels(path)
        if colours.ndim != 3 or colours.shape[2] != 3:
            channels = 1 if colours.ndim == 2 else colours.shape[2]
            raise ValueError(
                f'{path} has {channels} channels and a mask of ImageNet-S has 3: is it the published file?'
            )
        check_same_size(path, image)
        return Image.fromarray(relabel(colours[..., 0] + np.int64(256) * colours[..., 1], table, path))

    return made
