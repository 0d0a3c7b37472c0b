"""Labels of many photos as one file in COCO's form, masks as run lengths: pycocotools, CVAT and supervision read it.

    {"images": [{"id": 1, "file_name": "a.jpg", "height": .., "width": ..}, ..],
     "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "segmentation": {"size": [H, W], "counts": ".."},
                      "area": pixels, "bbox": [x, y, width, height], "iscrowd": 1}, ..],
     "categories": [{"id": 1, "name": "cat"}, ..]}

An annotation is all that a photo shows of a class. `iscrowd` is 1, COCO's mark of run lengths. Ids count from 1, in
the order of the photos and of the classes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...environment.files import atomic_write
from ..results.base import check_ending
from .regions import has_background, labels_of_photo, regions

REMEDY = 'pip install "mmseg_clipsurgery[coco]"'


def write_coco(
    path: str | Path, photos: Mapping[str, Callable[[], np.ndarray]], classes: Sequence[str]
) -> None:
    """Write the labels of photos, one photo in memory at a time, whole or not at all.

    Args:
        path: folders are made as needed.
        photos: name of each photo's file -> what gives its labels "H W".
        classes: names, by label.

    Raises:
        ValueError: another ending than .json, or labels that number no class.
        ImportError: pycocotools is not installed; with the remedy.
    """
    check_ending(path, 'write_coco', ('.json',))
    mask_tools = import_mask_tools()
    first = 1 - int(has_background(classes))

    def save(temporary: Path) -> None:
        images: list[str] = []
        with temporary.open('w', encoding='utf-8', errors='backslashreplace') as file:
            file.write('{"annotations": [')
            count = 0
            for number, (name, give) in enumerate(photos.items(), start=1):
                labels = labels_of_photo(name, give)
                height, width = labels.shape
                images.append(said({'id': number, 'file_name': name, 'height': height, 'width': width}))
                for annotation in annotations(mask_tools, labels, classes):
                    count += 1
                    file.write(', \n' if count > 1 else '\n')
                    file.write(said({'id': count, 'image_id': number, **annotation}))
            file.write('],\n"images": [\n' + ',\n'.join(images))
            categories = [{'id': k + first, 'name': classes[k]} for k in range(1 - first, len(classes))]
            file.write(f'],\n"categories": {said(categories)}}}\n')

    atomic_write(path, save)


def annotations(
    mask_tools: ModuleType, labels: np.ndarray, classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """What COCO says of each class in labels "H W", but for the ids of annotation and photo."""
    first = 1 - int(has_background(classes))
    for label, mask in regions(labels, classes):
        runs = mask_tools.encode(np.asfortranarray(mask, dtype=np.uint8))
        segmentation = {
            'size': [int(side) for side in runs['size']],
            'counts': runs['counts'].decode('ascii'),
        }
        yield {
            'category_id': label + first,
            'segmentation': segmentation,
            'area': int(mask_tools.area(runs)),
            'bbox': mask_tools.toBbox(runs).tolist(),
            'iscrowd': 1,
        }


def said(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def import_mask_tools() -> ModuleType:
    """pycocotools' masks. Raises ImportError with the remedy where it is not installed."""
    try:
        from pycocotools import mask
    except ModuleNotFoundError:
        raise ImportError(f'the format coco needs pycocotools, which is not installed: {REMEDY}') from None
    return mask
