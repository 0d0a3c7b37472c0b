"""From labelled images to a calibration: the tower is run, candidates are counted, the best is kept."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..structures import TextQueries
from ..vocabulary import Vocabulary
from . import calibration as candidates
from .calibration_files import Calibration
from .predictor import Predictor
from .tiled_logits import Size


class LabelledImage(NamedTuple):
    """An image as the predictor takes it, and its truth.

    Attributes:
        image: "3 H W", normalised.
        size: original (height, width) in pixels.
        truth: "H W" of that size, labels of the vocabulary or the ignored one.
    """

    image: Tensor
    size: Size
    truth: Tensor


class Counts(NamedTuple):
    """Areas of every candidate on every image.

    Attributes:
        background: "i s k 3" of `calibration.CANDIDATES`; None where the vocabulary has no background.
        one_word: "i t w 3" of `calibration.THRESHOLDS`, each word but the background's alone.
    """

    background: Tensor | None
    one_word: Tensor


def count(
    predictor: Predictor,
    embed: Callable[[Sequence[str]], Tensor],
    vocabulary: Vocabulary,
    images: Iterable[LabelledImage],
    ignored: int = 255,
) -> Counts:
    """Run the tower over labelled images and count.

    Args:
        predictor: its windows and refinement count, its thresholds don't.
        embed: texts -> "t c", through the templates.
        vocabulary: the classes.
        images: any number.
        ignored: label that doesn't count.
    """
    first = int(vocabulary.has_background)
    rows, class_of = embed(vocabulary.queries), torch.tensor(vocabulary.class_of)
    words = class_of >= first
    plain = TextQueries(rows, class_of.to(rows.device))
    alone = TextQueries(rows[words.to(rows.device)], (class_of[words] - first).to(rows.device), embed(['']))
    background, one_word = [], []
    for image, size, truth in images:
        if first:
            logits = predictor.original_logits(image, plain, size).cpu()
            background.append(candidates.background_counts(logits, truth, class_of, ignored))
        logits = predictor.original_logits(image, alone, size).cpu()
        one_word.append(candidates.one_word_counts(logits, truth, alone.class_of.cpu(), first, ignored))
    if not one_word:
        raise ValueError('got no labelled image; give two or more')
    return Counts(torch.stack(background) if background else None, torch.stack(one_word))


def calibrate(counts: Counts, vocabulary: Vocabulary, source: str, surgery: str) -> Calibration:
    """Choose settings, and measure by cross-validation what that gains.

    Args:
        counts: of the labelled images.
        vocabulary: the classes.
        source: where the images come from, for the record.
        surgery: its name.

    Raises:
        ValueError: fewer than two images, or a class without a labelled pixel.
    """
    names = vocabulary.classes[int(vocabulary.has_background) :]
    candidates.check_every_class(counts.one_word, names)
    word = candidates.cross_validate(counts.one_word, default_threshold())
    held_out, settings = {'one_word': word.stated()}, None
    if counts.background is not None:
        candidates.check_every_class(counts.background, vocabulary.classes)
        labels = candidates.cross_validate(counts.background, default_candidate())
        held_out, settings = {'background': labels.stated(), **held_out}, candidates.CANDIDATES[labels.best]
    threshold = {'threshold': candidates.THRESHOLDS[word.best]}
    images = len(counts.one_word)
    return Calibration(images, source, surgery, vocabulary.classes, settings, threshold, held_out)


def check_on(found: Calibration, counts: Counts) -> dict[str, Any]:
    """mIoU by default and calibrated on images that decided nothing, in percent."""
    said: dict[str, Any] = {'images': len(counts.one_word)}
    word = candidates.THRESHOLDS.index(found.one_word['threshold'])
    pairs = {'one_word': (counts.one_word, default_threshold(), word)}
    if counts.background is not None and found.background is not None:
        place = candidates.CANDIDATES.index(dict(found.background))
        pairs['background'] = (counts.background, default_candidate(), place)
    for kind, (areas, default, chosen) in pairs.items():
        figures = candidates.mean_ious(areas.sum(0))
        said[kind] = {
            'default': round(float(figures[default]), 2),
            'calibrated': round(float(figures[chosen]), 2),
        }
    return said


def default_threshold() -> int:
    """Place of no threshold, 0, among `THRESHOLDS`."""
    return candidates.THRESHOLDS.index(0.0)


def default_candidate() -> int:
    """Place of the settings of `segment` without calibration among `CANDIDATES`."""
    return candidates.CANDIDATES.index(candidates.DEFAULTS)
