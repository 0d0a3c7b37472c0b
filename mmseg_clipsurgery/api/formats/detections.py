"""Labels as `supervision.Detections`, for its annotators, filters and data set writers (YOLO, PASCAL VOC, COCO)."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .regions import regions

REMEDY = 'pip install "mmseg_clipsurgery[supervision]"'


def to_detections(labels: np.ndarray, classes: Sequence[str], scores: np.ndarray | None = None) -> Any:
    """One detection for each class that occurs, in label order: its mask, its box, its name.

    Args:
        labels: "H W" integers.
        classes: names, by label; `class_id` is the label.
        scores: class scores "k H W"; the confidence is their mean over the mask. None, or another number of planes (one
            word's similarity is no score): no confidence.

    Returns:
        A `supervision.Detections`; its data hold 'class_name'.

    Raises:
        ImportError: supervision is not installed; with the remedy.
    """
    supervision = import_supervision()
    found = list(regions(labels, classes))
    if not found:
        return supervision.Detections.empty()
    names, masks = [classes[label] for label, _ in found], np.stack([mask for _, mask in found])
    confidence = None
    if scores is not None and len(scores) == len(classes):
        confidence = np.array([scores[label][mask].mean() for label, mask in found])
    return supervision.Detections(
        xyxy=supervision.mask_to_xyxy(masks).astype(np.float32),
        mask=masks,
        class_id=np.array([label for label, _ in found]),
        confidence=confidence,
        data={'class_name': np.array(names)},
    )


def import_supervision() -> ModuleType:
    """The package. Raises ImportError with the remedy where it is not installed."""
    try:
        import supervision
    except ModuleNotFoundError:
        raise ImportError(f'to_supervision needs supervision, which is not installed: {REMEDY}') from None
    return supervision
