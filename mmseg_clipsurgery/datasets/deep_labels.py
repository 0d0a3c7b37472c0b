"""Data sets with 16-bit masks, whose labels go beyond 255: ADE20K-847, PASCAL Context-459 and ImageNet-S.

Class names are those of the shipped vocabularies. `loading.LoadDeepAnnotations` loads the masks.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..visualization.palette import voc_palette
from ..vocabulary import class_names
from .mask_encodings import IGNORED_16_BIT


def deep_metainfo(vocabulary: str) -> dict[str, Any]:
    """Class names of a shipped vocabulary, and a colour for each."""
    classes = class_names(vocabulary)
    return dict(classes=classes, palette=voc_palette(len(classes)))


class DeepLabelDataset(BaseSegDataset):
    """A data set with 16-bit masks, whose ignored label is 65535 where MMSeg's own is 255.

    Args:
        ignore_index: label that is left out.
        **kwargs: as MMSeg's data sets.
    """

    def __init__(self, ignore_index: int = IGNORED_16_BIT, **kwargs: Any) -> None:
        super().__init__(ignore_index=ignore_index, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """Old label -> new label of a selection of classes; the others are ignored.

        Args:
            new_classes: names of the selection, or None for all classes.
        """
        if super().get_label_map(new_classes) is None:
            return None
        chosen = {name: index for index, name in enumerate(new_classes or ())}
        return {old: chosen.get(name, IGNORED_16_BIT) for old, name in enumerate(cls.METAINFO['classes'])}

    def _update_palette(self) -> list:
        if self.label_map is None:
            return super()._update_palette()
        kept = [(new, old) for old, new in self.label_map.items() if new != IGNORED_16_BIT]
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


class ImageNetSDataset(DeepLabelDataset):
    """ImageNet-S: label 0 is all else, then its classes; a folder for each class."""

    def __init__(self, img_suffix: str = '.JPEG', **kwargs: Any) -> None:
        super().__init__(img_suffix=img_suffix, **kwargs)


@DATASETS.register_module()
class ImageNetS50Dataset(ImageNetSDataset):
    """ImageNet-S with 50 classes: labels 0 to 50."""

    METAINFO: ClassVar[dict[str, Any]] = deep_metainfo('imagenet_s50')


@DATASETS.register_module()
class ImageNetS300Dataset(ImageNetSDataset):
    """ImageNet-S with 300 classes: labels 0 to 300."""

    METAINFO: ClassVar[dict[str, Any]] = deep_metainfo('imagenet_s300')


@DATASETS.register_module()
class ImageNetS919Dataset(ImageNetSDataset):
    """ImageNet-S with all its classes: labels 0 to 919."""

    METAINFO: ClassVar[dict[str, Any]] = deep_metainfo('imagenet_s919')
