"""Labels as LabelMe's JSON, one beside each photo: a polygon for each connected part of each class.

{"version": .., "flags": {}, "shapes": [{"label": "cat", "points": [[x, y], ..], "shape_type": "polygon", ..}],
 "imagePath": the photo's, from the JSON's folder, "imageData": null, "imageHeight": .., "imageWidth": ..}
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...environment.files import write_json
from .polygons import polygons
from .regions import regions

VERSION = '5.5.0'  # of LabelMe, whose form this is


def write_labelme(path: str | Path, labels: np.ndarray, classes: Sequence[str], photo: str | Path) -> None:
    """Write labels as polygons.

    Args:
        path: folders are made as needed.
        labels: "H W" integers.
        classes: names, by label.
        photo: the photo's file, which LabelMe opens.
    """
    height, width = labels.shape
    shapes = [
        {
            'label': classes[label],
            'points': corners.astype(float).tolist(),
            'group_id': None,
            'description': '',
            'shape_type': 'polygon',
            'flags': {},
        }
        for label, mask in regions(labels, classes)
        for corners in polygons(mask)
    ]
    beside = Path(os.path.relpath(photo, Path(path).parent)).as_posix()
    head: dict[str, Any] = {
        'version': VERSION,
        'flags': {},
        'shapes': shapes,
        'imagePath': beside,
        'imageData': None,
    }
    write_json(path, {**head, 'imageHeight': height, 'imageWidth': width})
