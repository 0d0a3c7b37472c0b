"""The embedded scenes as a data set of MMSeg."""

from os import PathLike, fspath
from pathlib import PurePath
from typing import Any, ClassVar

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from .. import scenes
from ..scenes.spec import SCENES
from ..scenes.voc import MASK_COLOURS, refuse_earlier
from .on_disk import check_split_file


@DATASETS.register_module()
class ScenesDataset(BaseSegDataset):
    """The embedded benchmark: 8 objects, then 6 grounds; images of 96 x 96, 96 x 128 or 128 x 96 pixels.

    Args:
        ann_file: 'ImageSets/Segmentation/val.txt', or 'heldout.txt' there, whose pairs of an object with its tint or
            ground no training scene shows ('heldout_tints.txt' and 'heldout_grounds.txt' are the two kinds).
        data_root: a folder of scenes; None draws them, once, into the package's cache.
        data_prefix, img_suffix, **kwargs: as MMSeg's data sets.

    Raises:
        FileNotFoundError: `ann_file` is no list of the drawn scenes.
        ValueError: the folder holds scenes of an earlier version; or as `scenes.ensure`.
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
        splits = splits_of(ann_file)
        if data_root is None:
            data_root = scenes.ensure(splits=splits)
            check_split_file(data_root, ann_file, 'name one in ImageSets/Segmentation')
            kwargs['metainfo'] = {'version': scenes.VERSION, **(kwargs.get('metainfo') or {})}
        else:
            refuse_earlier(data_root, splits)
        super().__init__(
            ann_file=ann_file,
            data_root=fspath(data_root),
            data_prefix=data_prefix or dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            img_suffix=img_suffix,
            **kwargs,
        )


def splits_of(ann_file: str) -> list[str]:
    """The split that a list of names is of; none for a list of the user's own."""
    return [split for split in SCENES if split == PurePath(ann_file).stem.partition('_')[0]]
