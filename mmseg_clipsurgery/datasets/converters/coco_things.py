"""COCO 2017, instances -> masks of its 80 things: 0 where there is none, 1 .. 80 in the order of their ids.

    annotations/instances_<split>.json    polygons, crowds as run lengths
    -> things/<split>/<image>.png         8 bits

A class's mask is the union of its instances, crowds too. One mask holds one class a pixel: where instances of several
classes overlap (a cup on a table), the smallest one's is taken, and crowds lie below all others. That differs from
COCO-Stuff's masks, from which COCO-Object is made, along the edges.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...environment.files import decoding, read_json
from ...vocabulary import class_names
from .jobs import Job

DOWNLOAD = 'get annotations_trainval2017.zip from http://images.cocodataset.org/annotations/ and unpack it'


def coco_things_jobs(root: Path, split: str = 'val2017') -> list[Job]:
    """Masks of COCO's things for every image of a split.

    Args:
        root: folder with `<split>` and `annotations/instances_<split>.json`.
        split: folder of images.

    Raises:
        FileNotFoundError: there are no annotations.
        ValueError: they are no JSON of COCO's, have other classes, or pycocotools is missing.
    """
    path = root / 'annotations' / f'instances_{split}.json'
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: {DOWNLOAD}')
    content = read_json(path)
    with decoding(path, "file of COCO's instances", DOWNLOAD):
        categories, images = content['categories'], content['images']
        instances = defaultdict(list)
        for instance in content['annotations']:
            instances[instance['image_id']].append(instance)
        names = {image['id']: Path(image['file_name']).stem for image in images}
        sizes = {image['id']: (image['height'], image['width']) for image in images}
    labels = labels_of(categories, path)
    return [
        Job(
            path,
            root / 'things' / split / f'{name}.png',
            drawn(sizes[number], instances[number], labels, f'image {name} of {path}'),
        )
        for number, name in names.items()
    ]


def labels_of(categories: Sequence[Mapping[str, Any]], path: Path) -> dict[int, int]:
    """Category id -> label. Raises ValueError where the categories are not COCO's 80 things."""
    given = {category['id']: category['name'] for category in categories}
    wanted = class_names('coco_object_names')[1:]
    if tuple(name for _, name in sorted(given.items())) != wanted:
        raise ValueError(
            f'{path} has {len(given)} categories that are not the {len(wanted)} things of COCO: {DOWNLOAD}'
        )
    return {number: label for label, number in enumerate(sorted(given), start=1)}


def drawn(
    size: tuple[int, int], instances: Sequence[Mapping[str, Any]], labels: Mapping[int, int], name: str
) -> Callable[[], Image.Image]:
    """What returns the mask of an image.

    Args:
        size: (height, width).
        instances: of the image.
        labels: category id -> label.
        name: of the image, for messages.
    """

    def made() -> Image.Image:
        found = []
        for instance in instances:
            if instance['category_id'] not in labels:
                raise ValueError(
                    f'{name} holds category {instance["category_id"]}, which COCO does not have: {DOWNLOAD}'
                )
            inside = instance_mask(instance, size, name)
            crowd = bool(instance.get('iscrowd'))
            found.append((not crowd, -int(inside.sum()), labels[instance['category_id']], inside))
        mask = np.zeros(size, np.uint8)
        for _, _, label, inside in sorted(found, key=lambda one: one[:3]):
            mask[inside] = label
        return Image.fromarray(mask)

    return made


def instance_mask(instance: Mapping[str, Any], size: tuple[int, int], name: str) -> np.ndarray:
    """The pixels of an instance, "h w" bool, as pycocotools draws them. Raises ValueError for damaged outlines."""
    try:
        from pycocotools import mask as coco
    except ImportError:
        raise ValueError(
            'pycocotools, which draws the outlines of COCO, is not installed: pip install pycocotools'
        ) from None
    outline = instance.get('segmentation')
    with decoding(name, 'annotation of COCO', DOWNLOAD):
        if isinstance(outline, Mapping):
            parts = outline if isinstance(outline['counts'], str) else coco.frPyObjects(outline, *size)
        else:
            parts = coco.merge(coco.frPyObjects(outline, *size))
        inside = coco.decode(parts).astype(bool)
    if inside.shape != size:
        raise ValueError(
            f'{name} is {size} and an instance of it {inside.shape} (height x width): {DOWNLOAD}'
        )
    return inside
