"""Photos and masks on disk -> images as a model's predictor takes them, each with its truth.

A mask is a PNG of one channel, or with a palette: a pixel's value is the place of its word; 255 does not count.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ..environment.files import decoding
from ..inference.calibration_run import LabelledImage
from ..inference.image_formats import open_image
from ..vocabulary import Vocabulary
from .images import read_image
from .input_sizes import with_short_side
from .model import SurgeryModel

IGNORED = 255


def labelled_photos(
    model: SurgeryModel, pairs: Sequence[tuple[Path, Path]], vocabulary: Vocabulary
) -> Iterator[LabelledImage]:
    """Read photos and their masks, one pair at a time.

    Args:
        model: whose sizes and normalisation count.
        pairs: files of photo and mask.
        vocabulary: the words that labels number.

    Raises:
        ValueError: a mask of another size than its photo, or with a label that is no word's.
    """
    encoders = model.encoders
    for photo, mask in pairs:
        pixels, labels = read_image(photo, model.reading), read_mask(mask, vocabulary.num_classes)
        height, width = pixels.shape[:2]
        if labels.shape != (height, width):
            raise ValueError(
                f'the mask {mask} has {labels.shape[0]} x {labels.shape[1]} pixels and its photo {height} x {width}; '
                'give a label for each pixel of the photo'
            )
        resized = with_short_side(pixels, encoders.sizes.segment, encoders.tower.patch)
        yield LabelledImage(encoders.normalized(resized), (height, width), torch.from_numpy(labels))


def read_mask(path: Path, classes: int) -> np.ndarray:
    """Labels "H W" int64 of a mask.

    Raises:
        ValueError: it has several channels, or a label that is neither below `classes` nor `IGNORED`.
    """
    with decoding(path, 'mask'), open_image(path) as image:
        labels = np.asarray(image).astype(np.int64)
    if labels.ndim != 2:
        raise ValueError(
            f'the mask {path} has {labels.shape[2]} channels; give labels, one channel or a palette'
        )
    wrong = sorted(set(np.unique(labels).tolist()) - {*range(classes), IGNORED})
    if wrong:
        raise ValueError(
            f'the mask {path} holds the label {wrong[0]}, and there are {classes} words; give all words of the masks '
            f'in the order of their labels, or write {IGNORED} where nothing counts'
        )
    return labels
