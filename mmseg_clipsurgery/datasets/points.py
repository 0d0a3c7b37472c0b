"""Images with points that are, or are not, of a class: Open Images V7.

    share of width and height (x, y)  ->  pixel (round(y H), round(x W)) of the photo, at most (H - 1, W - 1)

The classes are those of a file beside the points, in its order; see `converters.openimages`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import list_from_file
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS, TRANSFORMS

from ..environment.paths import user_path
from ..visualization.palette import voc_palette
from ..vocabulary import class_names

CLASSES = '{}_classes.json'  # beside the points, after their name
REMEDY = 'make it with python -m mmseg_clipsurgery convert openimages'
Points = tuple[
    np.ndarray, np.ndarray
]  # "n 2" and "m 2", int64, (y, x): those of the class, and those that are not


@DATASETS.register_module()
class OpenImagesPointsDataset(BaseSegDataset):
    """Open Images V7 by its points; each image has `points`, class index -> shares (x, y) of those that say yes and no.

    Args:
        data_root: folder of images, points and classes.
        ann_file: file of points, below `data_root`.
        **settings: as MMSeg's data sets.

    Raises:
        FileNotFoundError: the file of classes is missing.
    """

    def __init__(self, data_root: str, ann_file: str, **settings: Any) -> None:
        points = user_path(data_root) / ann_file
        path = points.with_name(CLASSES.format(points.stem))
        if not path.is_file():
            raise FileNotFoundError(f'{path} does not exist: {REMEDY}')
        classes = class_names(path)
        named = dict(classes=classes, palette=voc_palette(len(classes)))
        super().__init__(data_root=data_root, ann_file=ann_file, metainfo=named, **settings)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Path and points of each image. Raises ValueError for a line of another form or a class that is not there."""
        count = len(self.metainfo['classes'])
        found = []
        for number, line in enumerate(list_from_file(self.ann_file), start=1):
            try:
                content = json.loads(line)
                points = {int(index): answers for index, answers in content['points'].items()}
                path = os.path.join(self.data_prefix['img_path'], content['image'])
                pairs = {len(answers) for answers in points.values()} == {2}
                right = pairs and 0 <= min(points) <= max(points) < count
            except (ValueError, KeyError, TypeError, AttributeError):
                right = False
            if not right:
                raise ValueError(
                    f'line {number} of {self.ann_file} is no image with points of {count} classes: {REMEDY}'
                )
            found.append(dict(img_path=path, points=points))
        return found


@TRANSFORMS.register_module()
class LoadPoints(BaseTransform):
    """Points as pixels of the original photo: reads `points` and `ori_shape`, adds `gt_points`.

    `gt_points` is class index -> ("n 2", "m 2"), int64, (y, x): points of the class, and points that are not. It does
    nothing where there are no points, as for a photo of an inferencer.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `gt_points`."""
        if 'points' in results:
            results['gt_points'] = pixel_points(results['points'], results['ori_shape'][:2])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def pixel_points(points: Mapping[int, Sequence[Sequence]], size: Sequence[int]) -> dict[int, Points]:
    """Points in shares -> points in pixels.

    Args:
        points: class index -> shares (x, y) of points that say yes, and of those that say no.
        size: (height, width) of the photo.

    Returns:
        Class index -> ("n 2", "m 2"), int64, (y, x).
    """
    last = np.array(size) - 1

    def pixels(shares: Sequence) -> np.ndarray:
        places = np.array(shares, float).reshape(-1, 2)[:, ::-1] * size
        return np.minimum(np.floor(places + 0.5).astype(np.int64), last)

    return {index: (pixels(yes), pixels(no)) for index, (yes, no) in points.items()}
