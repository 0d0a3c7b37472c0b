"""From logits to labels: the protocol's order, as pure functions over one image.

    logits "q H W" (averaged, at the original size)
    -> times logit_scale, softmax over the queries, maximum per class        class scores "k H W"
    -> area rule -> argmax -> probability threshold                          labels "1 H W"

Both rules give pixels to class 0, so they mean something only where class 0 is the background.
"""

import torch
from torch import Tensor


def class_scores(logits: Tensor, class_of: Tensor, num_classes: int, logit_scale: float) -> Tensor:
    """Softmax over queries, then the maximum over each class's queries.

    Args:
        logits: "q H W", cosines or what feature surgery makes of them.
        class_of: "q", int64, in [0, num_classes).
        num_classes: k; every class has a query.
        logit_scale: what cosines are multiplied by before the softmax.

    Returns:
        "k H W", in [0, 1], not summing to 1 where classes have several queries.
    """
    probabilities = (logits * logit_scale).softmax(dim=0)
    return class_maximum(probabilities, class_of, num_classes)


def class_maximum(values: Tensor, class_of: Tensor, num_classes: int) -> Tensor:
    """The maximum over each class's queries: "q H W" -> "k H W"."""
    if len(values) == num_classes and torch.equal(
        class_of, torch.arange(num_classes, device=class_of.device)
    ):
        return values
    return torch.stack([values[class_of == k].amax(dim=0) for k in range(num_classes)])


def label_map(scores: Tensor, prob_thd: float | None = None, area_thd: float | None = None) -> Tensor:
    """Labels of the best class, after the protocol's two rules for vocabularies with background as class 0.

    Args:
        scores: class scores "k H W".
        prob_thd: pixels whose best score is below it become class 0.
        area_thd: a foreground class whose area among the argmax labels is not greater than this share of the
            whole foreground's gets score 0.

    Returns:
        "1 H W", int64.
    """
    if area_thd is not None:
        scores = without_small_classes(scores, area_thd)
    best, labels = scores.max(dim=0, keepdim=True)
    if prob_thd is not None:
        labels = labels.masked_fill(best < prob_thd, 0)
    return labels


def without_small_classes(scores: Tensor, area_thd: float) -> Tensor:
    """The area rule: "k H W" -> "k H W" with the scores of small foreground classes set to 0."""
    areas = scores.argmax(dim=0).flatten().bincount(minlength=len(scores)).to(scores.dtype)
    areas[0] = 0
    keep = areas > area_thd * areas.sum()
    keep[0] = True
    return scores * keep[:, None, None].to(scores.dtype)


def one_word_map(similarity: Tensor, threshold: float) -> Tensor:
    """One word, no background: 1 where the single-text similarity of any synonym exceeds the threshold.

    Args:
        similarity: "q H W".
        threshold: absolute.

    Returns:
        "1 H W", int64, 0 or 1.
    """
    return (similarity.amax(dim=0, keepdim=True) > threshold).long()
