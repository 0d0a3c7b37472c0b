"""Data sets that say which classes an image shows and not where: NUS-WIDE. `RecognitionMAP` reads `gt_classes`."""

import os
from typing import Any, ClassVar

from mmengine import list_from_file
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..visualization.palette import voc_palette
from ..vocabulary import class_names

NAMES = class_names('nus_wide')
REMEDY = 'make it with python -m mmseg_clipsurgery convert nus-wide'


@DATASETS.register_module()
class NUSWideDataset(BaseSegDataset):
    """NUS-WIDE with its 81 concepts; a line of its list is an image, a tab, and the concepts it shows, by commas.

    Each image has `gt_classes`, indices of its concepts, in order. `convert nus-wide` writes the list.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=NAMES, palette=voc_palette(len(NAMES)))

    def load_data_list(self) -> list[dict[str, Any]]:
        """Path and classes of each image. Raises ValueError for an unknown concept or a line of another form."""
        index = {name: place for place, name in enumerate(NAMES)}
        found = []
        for number, line in enumerate(list_from_file(self.ann_file), start=1):
            image, tab, listed = line.partition('\t')
            shown = listed.strip().split(',') if listed.strip() else []
            unknown = [name for name in shown if name not in index]
            if not tab or unknown:
                what = f'names {unknown[0]!r}, which is no concept of NUS-WIDE' if unknown else 'has no tab'
                raise ValueError(f'line {number} of {self.ann_file} {what}: {REMEDY}')
            path = os.path.join(self.data_prefix['img_path'], image)
            found.append(dict(img_path=path, gt_classes=sorted(index[name] for name in shown)))
        return found
