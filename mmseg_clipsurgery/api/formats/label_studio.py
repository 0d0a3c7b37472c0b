"""Labels of many photos as one file of tasks for Label Studio, whose own reader of COCO's form takes no run lengths.

    [{"data": {"image": address of the photo},
      "predictions": [{"model_version": .., "result": [
          {"type": "polygonlabels", "from_name": "label", "to_name": "image", "original_width": ..,
           "original_height": .., "image_rotation": 0,
           "value": {"points": [[x, y], ..], "polygonlabels": ["cat"]}}, ..]}]}, ..]

Points are percentages of width and height. `from_name` and `to_name` are those of Label Studio's template "Semantic
Segmentation with Polygons". A prediction is what an annotator sees first and may correct.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ...environment.files import atomic_write
from ...version import __version__
from ..results.base import check_ending
from .polygons import polygons
from .regions import labels_of_photo, regions

LOCAL_FILES = '/data/local-files/?d='  # Label Studio's own address of files below its document root


def write_label_studio(
    path: str | Path,
    photos: Mapping[str, Callable[[], np.ndarray]],
    classes: Sequence[str],
    root: str = LOCAL_FILES,
) -> None:
    """Write the labels of photos, one photo in memory at a time, whole or not at all.

    Args:
        path: folders are made as needed.
        photos: name of each photo's file -> what gives its labels "H W".
        classes: names, by label.
        root: what stands before a photo's name in its address, as Label Studio will ask for it.

    Raises:
        ValueError: another ending than .json, or labels that number no class.
    """
    check_ending(path, 'write_label_studio', ('.json',))

    def save(temporary: Path) -> None:
        with temporary.open('w', encoding='utf-8', errors='backslashreplace') as file:
            file.write('[')
            for number, (name, give) in enumerate(photos.items()):
                file.write(', \n' if number else '\n')
                file.write(
                    json.dumps(
                        task(root + quote(os.fsencode(name)), labels_of_photo(name, give), classes),
                        ensure_ascii=False,
                    )
                )
            file.write('\n]\n')

    atomic_write(path, save)


def task(address: str, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """A photo and its polygons.

    Args:
        address: of the photo.
        labels: "H W" integers.
        classes: names, by label.
    """
    height, width = labels.shape
    scale = 100 / np.array([width, height])
    about = dict(
        type='polygonlabels',
        from_name='label',
        to_name='image',
        original_width=width,
        original_height=height,
        image_rotation=0,
    )
    result = [
        {**about, 'value': {'points': ((corners + 0.5) * scale).tolist(), 'polygonlabels': [classes[label]]}}
        for label, mask in regions(labels, classes)
        for corners in polygons(mask)
    ]
    version = f'mmseg_clipsurgery {__version__}'
    return {'data': {'image': address}, 'predictions': [{'model_version': version, 'result': result}]}
