"""Public data sets with 8-bit masks that MMSeg lacks: VOC without background, COCO-Object, COCO's things.

Names, order and colours are those of MMSeg's own data sets. The protocol is that of the training-free methods since
SCLIP (arXiv 2312.01597): VOC20 ignores label 0; COCO-Object has COCO's things, and all else is background.
"""

from typing import Any, ClassVar

from mmseg.datasets import BaseSegDataset, COCOStuffDataset, PascalVOCDataset
from mmseg.registry import DATASETS

from .mask_encodings import COCO_THINGS


@DATASETS.register_module()
class PascalVOC20Dataset(BaseSegDataset):
    """PASCAL VOC without background: label 0 is ignored and the 20 others move down by one."""

    METAINFO: ClassVar[dict[str, Any]] = dict(
        classes=PascalVOCDataset.METAINFO['classes'][1:], palette=PascalVOCDataset.METAINFO['palette'][1:]
    )

    def __init__(self, ann_file: str, reduce_zero_label: bool = True, **kwargs: Any) -> None:
        super().__init__(ann_file=ann_file, reduce_zero_label=reduce_zero_label, **kwargs)


@DATASETS.register_module()
class COCOObjectDataset(BaseSegDataset):
    """COCO-Object: background (stuff and unlabelled pixels) and the 80 things of COCO, labels 0 to 80."""

    METAINFO: ClassVar[dict[str, Any]] = dict(
        classes=('background', *COCOStuffDataset.METAINFO['classes'][:COCO_THINGS]),
        palette=[[0, 0, 0], *COCOStuffDataset.METAINFO['palette'][:COCO_THINGS]],
    )

    def __init__(self, seg_map_suffix: str = '_instanceTrainIds.png', **kwargs: Any) -> None:
        super().__init__(seg_map_suffix=seg_map_suffix, **kwargs)


@DATASETS.register_module()
class COCOThingsDataset(BaseSegDataset):
    """COCO 2017 by its instances: background and the 80 things, labels 0 to 80; the names are those of COCO-Object."""

    METAINFO: ClassVar[dict[str, Any]] = COCOObjectDataset.METAINFO
