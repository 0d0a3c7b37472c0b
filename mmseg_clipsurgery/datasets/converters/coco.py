"""COCO-Stuff 164k and COCO-Object, both from COCO-Stuff's label ids.

    label id                        COCO-Stuff     COCO-Object
    a thing                         0 .. 79        1 .. 80
    stuff                           80 .. 170      0, background
    255, unlabelled                 255, ignored   0, background

Unlabelled pixels are background in COCO-Object because the codes whose figures are published make them so (GroupViT,
SCLIP, ClearCLIP, NACLIP, ProxyCLIP, CorrCLIP): 0.8 % of the pixels of val2017.
"""

from collections.abc import Iterable
from pathlib import Path

from ..mask_encodings import COCO_THINGS, IGNORED_8_BIT, STUFF_GAPS
from .jobs import Job, files
from .relabelling import relabelled_mask


def coco_jobs(root: Path, split: str = 'val2017', targets: Iterable[str] = ('stuff', 'object')) -> list[Job]:
    """Masks of COCO-Stuff and COCO-Object for every image of a split.

    Args:
        root: folder with `images/<split>` and `annotations/<split>`.
        split: folder of images and masks.
        targets: 'stuff', 'object' or both. Without label ids, COCO-Object is made from COCO-Stuff's train ids.

    Raises:
        FileNotFoundError: there are no images.
    """
    masks = root / 'annotations' / split
    jobs = []
    for image in files(root / 'images' / split, '*.jpg'):
        ids, train_ids = masks / f'{image.stem}.png', masks / f'{image.stem}_labelTrainIds.png'
        given_ids = ids.is_file() or not train_ids.is_file()
        source, stuff = (ids, stuff_of_ids()) if given_ids else (train_ids, stuff_of_train_ids())
        if 'stuff' in targets:
            jobs.append(Job(source, train_ids, relabelled_mask(source, stuff)))
        if 'object' in targets:
            target = masks / f'{image.stem}_instanceTrainIds.png'
            jobs.append(Job(source, target, relabelled_mask(source, objects_of(stuff))))
    return jobs


def stuff_of_ids() -> dict[int, int]:
    """COCO-Stuff's label id -> train id: the 171 numbers in use, counted; unlabelled pixels stay ignored."""
    used = [number for number in range(182) if number not in STUFF_GAPS]
    return {number: train_id for train_id, number in enumerate(used)} | {IGNORED_8_BIT: IGNORED_8_BIT}


def stuff_of_train_ids() -> dict[int, int]:
    """COCO-Stuff's train ids, and the ignored label, unchanged."""
    return {label: label for label in (*range(171), IGNORED_8_BIT)}


def objects_of(stuff: dict[int, int]) -> dict[int, int]:
    """The same old labels -> labels of COCO-Object.

    Args:
        stuff: old label -> train id of COCO-Stuff, whose first 80 are the things.
    """
    return {old: train_id + 1 if train_id < COCO_THINGS else 0 for old, train_id in stuff.items()}
