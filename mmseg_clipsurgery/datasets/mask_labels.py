"""Labels of masks: which are legal, and what those of a whole data set tell.

    label on file          without reduce_zero_label      with it
    0                      class 0                        ignored
    1 .. k - 1             class 1 .. k - 1               class 0 .. k - 2
    k                      an error                       class k - 1
    ignore_index           ignored                        ignored

What only all masks together show is judged at the end (`judge`): signs of another encoding, and classes that never
occur while an ignored label does (masks of 0 and 255), are notes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .mask_encodings import IGNORED_8_BIT, KNOWN, Encoding, suspected

SHOWN = 3  # classes written out in a message


@dataclass(frozen=True)
class MaskEncoding:
    """Which labels may stand in a mask file.

    Attributes:
        classes: number of classes of the mask files (before a selection of classes).
        ignore_index: the label that the evaluator leaves out; None: each pixel is of a class.
        reduce_zero_label: whether 0 is ignored and the others move down by one.
        names: of the classes, in order; () where a selection of them is evaluated.
    """

    classes: int
    ignore_index: int | None = IGNORED_8_BIT
    reduce_zero_label: bool = False
    names: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """The label of the first class in a mask file."""
        return int(self.reduce_zero_label)

    @property
    def last(self) -> int:
        """The label of the last class in a mask file."""
        return self.first + self.classes - 1

    @property
    def ignored(self) -> frozenset[int]:
        """Labels of a mask file that are left out."""
        zero = {0} if self.reduce_zero_label else set()
        return frozenset(zero if self.ignore_index is None else zero | {self.ignore_index})

    def illegal(self, found: Iterable[int]) -> list[int]:
        """Those of a mask's labels that are neither a class nor ignored, in order."""
        return sorted(label for label in found if not 0 <= label <= self.last and label != self.ignore_index)

    def absent(self, found: Iterable[int]) -> list[str]:
        """Classes, each with its label, that none of these labels is."""
        labels = enumerate(self.names, start=self.first)
        return [f'{name!r} (label {label})' for label, name in labels if label not in set(found)]

    def __str__(self) -> str:
        ignored = sorted(self.ignored)
        left_out = f'ignored {" and ".join(map(str, ignored))}' if ignored else 'none is ignored'
        return f'{self.classes} classes are {self.first}..{self.last}, {left_out}'


# (class of data set, its rules) -> (every label that its masks hold, number of images)
Labels = dict[tuple[str, MaskEncoding], tuple[frozenset[int], int]]


def judge(shares: Iterable[Labels]) -> list[str]:
    """What all masks of a run show together.

    Args:
        shares: what `check_files` gave of parts of the images.

    Returns:
        Notes, a sentence each, about labels that are all legal: see `encoding_notes` and `absence_notes`.

    Raises:
        ValueError: every pixel of a data set is ignored.
    """
    seen: Labels = {}
    for share in shares:
        for key, (found, images) in share.items():
            labels, count = seen.get(key, (frozenset(), 0))
            seen[key] = (labels | found, count + images)
    for (kind, rules), (found, _) in seen.items():
        if found and found <= rules.ignored:
            raise ValueError(
                f'every pixel of the masks of {kind} is ignored: they hold {sorted(found)} alone ({rules})'
            )
    return [*encoding_notes(seen), *absence_notes(seen)]


def encoding_notes(seen: Labels) -> list[str]:
    """A sentence for each data set whose labels are legal and look like another encoding's."""
    notes = []
    for (kind, _), (found, images) in seen.items():
        other = suspected(kind, found, images) if found else None
        if other:
            notes.append(
                f'no mask of {KNOWN[kind].title} holds label {KNOWN[kind].last}, the last class: {remedy_of(other)}'
            )
    return notes


def absence_notes(seen: Labels) -> list[str]:
    """A sentence for each data set of which a class never occurs while an ignored label does.

    So it is with masks stored as 0 and 255. Of a public data set, a part may lack some classes: it is noted only where
    no more than one class occurs.
    """
    notes = []
    for (kind, rules), (found, _) in seen.items():
        absent = rules.absent(found)
        partial = kind in KNOWN and len(rules.names) - len(absent) > 1
        ignored = max(found & rules.ignored, default=None)
        if ignored is not None and absent and not partial:
            more = f' nor {len(absent) - SHOWN} more classes' if len(absent) > SHOWN else ''
            notes.append(
                f'no mask of {kind} holds {" nor ".join(absent[:SHOWN])}{more}, while label {ignored}, '
                'which is ignored, occurs: write the pixels of a class with its own label'
            )
    return notes


def remedy_of(other: Encoding | None) -> str:
    """What labels seem to be, and what to do about it, in a clause."""
    if other is None:
        return 'its labels are in another encoding or of another data set'
    return f'these look like {other.name}; {other.remedy}'
