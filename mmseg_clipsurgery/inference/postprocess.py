"""From logits to labels: the protocol's order, row chunk by row chunk.

    logits "H W q" (averaged, at the original size)
    -> times logit_scale, softmax over the queries, maximum per class        class scores "H W k"
    -> area rule -> argmax -> probability threshold                          labels "H W"

Both rules give pixels to class 0, so they mean something only where class 0 is the background. Without them the softmax
changes no label and is left out. The area rule needs all labels first: chunks with pixels of a class that it drops are
computed a second time, unless one chunk was the whole image. All branches depend on host values; the only device
synchronisation is the area rule's second pass.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..similarity import class_maximum
from .tiled_logits import DenseLogits, TiledLogits


@dataclass(frozen=True)
class PostProcess:
    """How logits become labels.

    Attributes:
        class_of: "q", int64, the class of each query; every class has one.
        logit_scale: what cosines are multiplied by before the softmax.
        prob_thd: pixels whose best class score is below it become class 0; None: no such rule.
        area_thd: a foreground class whose area among the argmax labels is not greater than this share of the whole
            foreground's gets score 0; None: no such rule.
        host_class_of: host copy of `class_of`, made once.
    """

    class_of: Tensor
    logit_scale: float
    prob_thd: float | None = None
    area_thd: float | None = None
    host_class_of: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'host_class_of', tuple(self.class_of.tolist()))

    @property
    def num_classes(self) -> int:
        return max(self.host_class_of) + 1

    def query_scores(self, logits: Tensor) -> Tensor:
        """Softmax over queries of the scaled logits, "... q"."""
        return (logits * self.logit_scale).softmax(dim=-1)

    def class_scores(self, logits: Tensor) -> Tensor:
        """Softmax over queries, then the maximum over each class's queries: "... q" -> "... k", in [0, 1].

        The scores of a pixel do not sum to 1 where classes have several queries.
        """
        return self.over_classes(self.query_scores(logits))

    def over_classes(self, values: Tensor) -> Tensor:
        """The maximum over each class's queries: "... q" -> "... k"; the values themselves where each has one."""
        if self.host_class_of == tuple(range(len(self.host_class_of))):
            return values
        return class_maximum(values, self.class_of, self.num_classes)

    def label_logits(self, logits: TiledLogits | DenseLogits, memory: int | None = None) -> Tensor:
        """Labels "H W", int64, without all logits in memory at once; `memory` as in `TiledLogits.row_chunks`.

        The best class is that of the best query, so class scores are not computed.
        """
        if self.prob_thd is None and self.area_thd is None:
            return self.class_of[logits.best_queries(memory)]
        labels = torch.empty(logits.size, dtype=torch.int64, device=self.class_of.device)
        best = torch.empty(logits.size, device=labels.device)
        for rows, chunk in logits.row_chunks(memory):
            scores = self.query_scores(chunk)
            best[rows], query = scores.max(dim=-1)
            labels[rows] = self.class_of[query]
        if self.area_thd is not None:
            dropped = small_classes(labels, self.area_thd, self.num_classes)
            kept_queries = 1.0 - dropped[self.class_of].float()
            if len(scores) == len(labels):
                best, query = (scores * kept_queries).max(dim=-1)
                labels = self.class_of[query]
            else:
                for rows, chunk in logits.row_chunks(memory, dropped[labels].any(dim=1).cpu()):
                    best[rows], query = (self.query_scores(chunk) * kept_queries).max(dim=-1)
                    labels[rows] = self.class_of[query]
        return labels if self.prob_thd is None else labels.masked_fill(best < self.prob_thd, 0)

    def label_scores(self, scores: Tensor) -> Tensor:
        """As `label_logits`, from class scores "k H W": labels "H W"."""
        if self.area_thd is not None:
            dropped = small_classes(scores.argmax(dim=0), self.area_thd, len(scores))
            scores = scores.masked_fill(dropped[:, None, None], 0)
        best, labels = scores.max(dim=0)
        return labels if self.prob_thd is None else labels.masked_fill(best < self.prob_thd, 0)


def small_classes(labels: Tensor, area_thd: float, num_classes: int) -> Tensor:
    """Which foreground classes the area rule drops: "k", bool; labels "H W"."""
    areas = bincount_without_sync(labels, num_classes)
    areas[0] = 0
    dropped = areas <= area_thd * areas.sum()
    dropped[0] = False
    return dropped


def bincount_without_sync(values: Tensor, count: int) -> Tensor:
    """How often each of 0 .. count - 1 occurs, "count" int64: `torch.bincount` without its device synchronisation.

    Args:
        values: int64, any shape, all within the range.
    """
    flat = values.flatten()
    ones = torch.ones((), dtype=torch.int64, device=flat.device).expand_as(flat)
    return torch.zeros(count, dtype=torch.int64, device=flat.device).scatter_add_(0, flat, ones)
