"""Figures that others published, and whether ours agree with them.

A row of `resources/published.json` states a method's mIoU on data sets, by whom it was published, on which backbone
(`backbone`; OpenAI's ViT-B/16 where none is stated), and how far a figure may be off and still agree (`spread`, in
percent; 0.5 where none is stated; null where the figures are no measure). A figure of ours is compared with the row of
its method, protocol and backbone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..resources import RESOURCES

PUBLISHED = RESOURCES / 'published.json'
USUAL_BACKBONE = 'ViT-B/16'  # OpenAI's, of the shipped configs
SPREAD = 0.5  # percent


@dataclass(frozen=True)
class Row:
    """Figures of one method from one source.

    method, protocol: names of protocols.json; protocol None where the method is none of ours.
    origin: 'published' or 'ours'.
    source: who published it, or how we ran it.
    mIoU: data set -> percent.
    spread: how far from a figure of the row another one may be and still agree, in percent; None: none is compared.
    notes: data set -> what must be known of its figure, where it is of other images than the data set has.
    words: data set -> name of the words that its classes were asked for by, where they are known.
    """

    method: str
    title: str
    protocol: str | None
    backbone: str
    origin: str
    source: str
    post_processing: str | None = None
    other_models: str | None = None
    mIoU: Mapping[str, float] = field(default_factory=dict)
    spread: float | None = SPREAD
    notes: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """A figure of ours beside a published one.

    Attributes:
        published: percent.
        difference: ours minus the published one, in percent.
        spread: the largest difference that agrees.
        source: who published it.
    """

    published: float
    difference: float
    spread: float
    source: str

    @property
    def agrees(self) -> bool:
        return abs(self.difference) <= self.spread + 1e-9

    def __str__(self) -> str:
        return f'{self.difference:+.2f}, {"agrees" if self.agrees else "differs"}'


def published_rows() -> list[Row]:
    """The rows of `resources/published.json`."""
    rows = json.loads(PUBLISHED.read_text(encoding='utf-8'))['rows']
    return [Row(origin='published', **{'backbone': USUAL_BACKBONE, **row}) for row in rows]


def published_data_sets() -> list[str]:
    """The data sets of the public leaderboard, in its order."""
    return json.loads(PUBLISHED.read_text(encoding='utf-8'))['data_sets']


def data_sets_of_methods() -> list[str]:
    """Those of them on which a method that is a row here has a published figure."""
    rows = [row for row in published_rows() if row.protocol]
    return [name for name in published_data_sets() if any(name in row.mIoU for row in rows)]


def verdict(row: Row, data_set: str) -> Verdict | None:
    """A figure of a row of ours beside the published one of its method, protocol and backbone.

    Args:
        row: ours.
        data_set: one of its data sets.

    Returns:
        None where nothing was published to compare with, or ours is of other images.
    """
    if data_set in row.notes:
        return None
    wanted = row.method, row.protocol, row.backbone
    for other in published_rows():
        comparable = (other.method, other.protocol, other.backbone) == wanted and data_set in other.mIoU
        if comparable and other.spread is not None:
            published = other.mIoU[data_set]
            return Verdict(published, round(row.mIoU[data_set] - published, 4), other.spread, other.source)
    return None
