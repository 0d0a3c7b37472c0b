"""Data sets that MMSeg lacks: the scenes, VOC without background, COCO-Object, ADE20K-847, PASCAL Context-459.

Names, order and colours come from MMSeg's own data sets, from the scenes and from the shipped vocabularies; the
protocol (VOC20 ignores label 0, COCO-Object is the things of COCO-Stuff 164k with every stuff class as background) is
that of the training-free methods since SCLIP (arXiv 2312.01597). Masks hold one label a pixel; 255 is ignored, and
65535 in the 16-bit masks of the last two, which `loading.LoadDeepAnnotations` reads.
"""

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any, ClassVar

from mmseg.datasets import BaseSegDataset, COCOStuffDataset, PascalVOCDataset
from mmseg.registry import DATASETS

from .. import scenes
from ..resources import RESOURCES
from ..scenes.voc import MASK_COLOURS
from ..visualization.palette import voc_palette
from ..vocabulary import read_lines
from .loading import IGNORED

COCO_THINGS = 80  # the first classes of COCO-Stuff


@DATASETS.register_module()
class ScenesDataset(BaseSegDataset):
    """The embedded benchmark: 8 objects, then 6 grounds; images of 96 x 96 pixels.

    ann_file: 'ImageSets/Segmentation/val.txt', or 'heldout.txt' there, whose colour-object pairs no training shows.
    data_root: a folder of scenes; None draws them, once, into the package's cache.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(
        classes=scenes.CLASSES, palette=[list(MASK_COLOURS[name]) for name in scenes.CLASSES]
    )

    def __init__(
        self,
        ann_file: str = 'ImageSets/Segmentation/val.txt',
        data_root: 'str | PathLike[str] | None' = None,
        data_prefix: dict[str, str] | None = None,
        img_suffix: str = '.png',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            ann_file=ann_file,
            data_root=fspath(scenes.ensure() if data_root is None else data_root),
            data_prefix=data_prefix or dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            img_suffix=img_suffix,
            **kwargs,
        )


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
    """COCO-Object: background (every stuff class) and the 80 things of COCO, labels 0 to 80."""

    METAINFO: ClassVar[dict[str, Any]] = dict(
        classes=('background', *COCOStuffDataset.METAINFO['classes'][:COCO_THINGS]),
        palette=[[0, 0, 0], *COCOStuffDataset.METAINFO['palette'][:COCO_THINGS]],
    )

    def __init__(self, seg_map_suffix: str = '_instanceTrainIds.png', **kwargs: Any) -> None:
        super().__init__(seg_map_suffix=seg_map_suffix, **kwargs)


def deep_metainfo(vocabulary: str) -> dict[str, Any]:
    """Class names of a shipped vocabulary without synonyms, and a colour for each."""
    classes = tuple(read_lines(RESOURCES / 'vocabularies' / f'{vocabulary}.txt'))
    return dict(classes=classes, palette=voc_palette(len(classes)))


class DeepLabelDataset(BaseSegDataset):
    """A data set with 16-bit masks: 65535 is ignored, where MMSeg's own write 255."""

    def __init__(self, ignore_index: int = IGNORED, **kwargs: Any) -> None:
        super().__init__(ignore_index=ignore_index, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """Old label -> new label of a selection of classes; the others are ignored."""
        if super().get_label_map(new_classes) is None:
            return None
        chosen = {name: index for index, name in enumerate(new_classes or ())}
        return {old: chosen.get(name, IGNORED) for old, name in enumerate(cls.METAINFO['classes'])}

    def _update_palette(self) -> list:
        if self.label_map is None:
            return super()._update_palette()
        kept = [(new, old) for old, new in self.label_map.items() if new != IGNORED]
        return [self.METAINFO['palette'][old] for _, old in sorted(kept)]


@DATASETS.register_module()
class ADE20K847Dataset(DeepLabelDataset):
    """ADE20K with 847 of its objects: labels 0 to 846."""

    METAINFO: ClassVar[dict[str, Any]] = deep_metainfo('ade20k_847')


@DATASETS.register_module()
class PascalContext459Dataset(DeepLabelDataset):
    """PASCAL Context with all its classes: labels 0 to 458."""

    METAINFO: ClassVar[dict[str, Any]] = deep_metainfo('context459')

    def __init__(self, ann_file: str, **kwargs: Any) -> None:
        super().__init__(ann_file=ann_file, **kwargs)
