"""Multi-label recognition: which classes an image holds, by the class token after feature surgery.

    S_q = feature surgery of F_0 and the texts (`similarity`);  p_q = softmax over queries of logit scale * S_q
    class score = maximum over the class's queries
    one word, nothing to compare with:  p = sigmoid(logit scale * <F_0, T - T_empty>), the word against the empty string
    models trained pair by pair (SigLIP):  p = sigmoid(logit scale * <F_0, T> + bias)

Only the released form changes p against plain CLIP: the paper's form subtracts one number from all S_q of an image,
which a softmax does not see.

Source: CLIP Surgery (arXiv 2304.05653), multi-label recognition.
"""

from typing import NamedTuple

from torch import Tensor

from .environment.numbers import check_number, check_positive
from .similarity import SurgeryForm, class_maximum, cosine, feature_surgery, normalize, single_text_surgery
from .structures import TextQueries

MOST_LOGIT_SCALE = 100.0  # at which CLIP's training clips it, and where OpenAI's models all end


def recognition_scores(
    cls: Tensor, queries: TextQueries, form: SurgeryForm = 'released', logit_scale: float = MOST_LOGIT_SCALE
) -> Tensor:
    """Class scores of images.

    Args:
        cls: class tokens "b c", not normalised.
        queries: embedded words; with `empty`, the single-text form is used.
        form: of feature surgery.
        logit_scale: > 0.

    Returns:
        "b k" in [0, 1], fp32.
    """
    check_positive('logit_scale', logit_scale)
    if queries.empty is not None:
        return word_presence(cls, queries, queries.empty, logit_scale)
    cls, text = normalize(cls.float()), queries.embeddings.float()
    scores = (logit_scale * feature_surgery(cls, cls[:, None], text, form)[:, 0]).softmax(dim=-1)
    return class_maximum(scores, queries.class_of, int(queries.class_of.max()) + 1)


def word_presence(cls: Tensor, queries: TextQueries, empty: Tensor, logit_scale: float) -> Tensor:
    """Each class against the empty string, whatever the others: sigmoid(logit scale * <F_0, T - T_empty>).

    Args:
        cls: class tokens "b c", not normalised.
        queries: embedded words.
        empty: "1 c", the empty string through the same templates, L2-normalised.
        logit_scale: > 0.

    Returns:
        "b k" in [0, 1], fp32, the maximum over a class's words; above 0.5 the image is nearer to the word.
    """
    nearness = single_text_surgery(normalize(cls.float())[:, None], queries.embeddings.float(), empty.float())
    presence = (logit_scale * nearness[:, 0]).sigmoid()
    return class_maximum(presence, queries.class_of, int(queries.class_of.max()) + 1)


def pair_probability(cls: Tensor, queries: TextQueries, logit_scale: float, bias: float) -> Tensor:
    """Each class by itself, as models are trained that give every pair a sigmoid: sigmoid(logit scale <F_0, T> + bias).

    Args:
        cls: image embeddings "b c", not normalised.
        queries: embedded words.
        logit_scale: > 0.
        bias: the model's own.

    Returns:
        "b k" in [0, 1], fp32, the maximum over a class's words.
    """
    logits = logit_scale * cosine(cls.float(), queries.embeddings.float()) + bias
    return class_maximum(logits.sigmoid(), queries.class_of, int(queries.class_of.max()) + 1)


def check_presence(least: float | None) -> None:
    """Refuse a least presence that is no probability; None: all classes are kept. Raises ValueError."""
    if least is not None:
        check_number('min_presence', least, 0, 1)


class Kept(NamedTuple):
    """What is left of the classes of one image.

    Attributes:
        classes: "k", bool.
        none_present: no class is, beside the background; what is kept is kept for want of another.
    """

    classes: Tensor
    none_present: bool


def classes_kept(presence: Tensor, least: float, has_background: bool) -> Kept:
    """Which classes of one image are kept, by their presence: the background always; where none is left, the best.

    Args:
        presence: "k" in [0, 1], see `word_presence`.
        least: presence below which a class is dropped, in [0, 1].
        has_background: whether class 0 is the background.

    Raises:
        ValueError: `least` is no probability.
    """
    check_presence(least)
    keep, first = presence >= least, int(has_background)
    none_present = not bool(keep[first:].any())
    keep[:first] = True
    if not keep.any():
        keep[presence.argmax()] = True
    return Kept(keep, none_present)
