"""Images and masks on disk: every file decoded, every label judged, before a run.

Every file is decoded (in threads: seconds for a thousand photos), as truncated ones are otherwise met hours into a run.
A mask is read as the data set's own loader would:

    label on file          without reduce_zero_label      with it
    0                      class 0                        ignored
    1 .. k - 1             class 1 .. k - 1               class 0 .. k - 2
    k                      an error                       class k - 1
    ignore_index           ignored                        ignored

What is wrong raises one sentence. Signs of another encoding, and classes that never occur while the ignored label does
(masks of 0 and 255), come back as notes.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .mask_encodings import IGNORED_8_BIT, IGNORED_16_BIT, KNOWN, Encoding, mistaken_for, suspected

ORIENTATION = 0x0112  # EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values that exchange height and width, as the image loader does too
SHOWN = 3  # problems written out in a message


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

    def illegal(self, found: Iterable[int]) -> list[int]:
        """Those of a mask's labels that are neither a class nor ignored, in order."""
        return sorted(label for label in found if not 0 <= label <= self.last and label != self.ignore_index)

    def absent(self, found: Iterable[int]) -> list[str]:
        """Classes, each with its label, that none of these labels is."""
        labels = enumerate(self.names, start=self.first)
        return [f'{name!r} (label {label})' for label, name in labels if label not in set(found)]

    def __str__(self) -> str:
        ignored = [0] * self.reduce_zero_label + [self.ignore_index] * (self.ignore_index is not None)
        left_out = f'ignored {" and ".join(map(str, ignored))}' if ignored else 'none is ignored'
        return f'{self.classes} classes are {self.first}..{self.last}, {left_out}'


@dataclass(frozen=True)
class Pair:
    """An image and its mask.

    Attributes:
        image: its path.
        mask: its path; None: there is none, or nobody asks for it.
        kind: class of its data set, such as 'COCOStuffDataset'.
        rules: which labels the mask may hold.
        upright: whether the pipeline turns images by their EXIF orientation, as MMSeg's loader does by default.
    """

    image: str
    mask: str | None
    kind: str
    rules: MaskEncoding
    upright: bool = True


@dataclass(frozen=True)
class Finding:
    """What one pair shows.

    Attributes:
        problem: what is wrong with a file, in a clause; None: nothing.
        labels: every label of the mask.
        illegal: a label of it that is neither a class nor ignored; None: there is none.
    """

    problem: str | None = None
    labels: frozenset[int] = frozenset()
    illegal: int | None = None


def check_files(pairs: Sequence[Pair], report: Callable[[str], None]) -> list[str]:
    """Existence of all files, then their content.

    Args:
        pairs: the images and masks.
        report: called with a line for every 500 images.

    Returns:
        Notes, a sentence each, about labels that are all legal: see `encoding_notes` and `absence_notes`.

    Raises:
        FileNotFoundError: an image or mask is missing.
        ValueError: a file can't be decoded, or a mask does not fit its image or its data set's labels.
    """
    check_existence(
        'image', [pair.image for pair in pairs], 'complete the data set or take them out of the split'
    )
    for kind in {pair.kind: None for pair in pairs}:
        masks = [pair.mask for pair in pairs if pair.kind == kind and pair.mask is not None]
        made = f'{KNOWN[kind].masks}, or ' if kind in KNOWN else ''
        check_existence('mask', masks, f'{made}take them out of the split')
    findings = examine(pairs, report)
    problems = [finding.problem for finding in findings if finding.problem] or illegal_labels(pairs, findings)
    if problems:
        count = sum(finding.problem is not None or finding.illegal is not None for finding in findings)
        raise ValueError(f'{count} of {len(pairs)} images or masks are wrong: {_first(problems)}')
    return [*encoding_notes(pairs, findings), *absence_notes(pairs, findings)]


def check_existence(kind: str, paths: Sequence[str], remedy: str) -> None:
    """Raise FileNotFoundError if one of the files is not there.

    Args:
        kind: 'image' or 'mask'.
        paths: of the files.
        remedy: what to do about a missing one.
    """
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} listed {kind}s do not exist: {_first(missing)}; {remedy}'
        )


def examine(pairs: Sequence[Pair], report: Callable[[str], None]) -> list[Finding]:
    """Decode every file, in threads; findings come in the order of the pairs."""
    Image.init()  # loads plugins, which threads must not do at the same time
    findings = []
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        for finding in pool.map(finding_of, pairs):
            findings.append(finding)
            if len(findings) % 500 == 0:
                report(f'preflight: {len(findings)}/{len(pairs)} images checked')
    return findings


def finding_of(pair: Pair) -> Finding:
    """What one image and its mask show."""
    try:
        size = image_size(pair.image, pair.upright)
    except Exception as error:
        return Finding(f'{pair.image} cannot be decoded ({error})')
    if pair.mask is None:
        return Finding()
    try:
        with Image.open(pair.mask) as opened:
            labels = np.asarray(opened)
    except Exception as error:
        return Finding(f'{pair.mask} cannot be decoded ({error})')
    if labels.ndim != 2:
        return Finding(
            f'{pair.mask} has {labels.shape[2]} channels and a mask has one: colours are no labels'
        )
    if labels.shape != size and labels.shape == image_size(pair.image, not pair.upright):
        return Finding(
            f'{pair.mask} is {_by(labels.shape)} (height x width) and its image {_by(size)}, by the EXIF orientation '
            f'that the pipeline {"follows" if pair.upright else "ignores"}: set color_type of LoadImageFromFile to '
            f'{"color_ignore_orientation" if pair.upright else "color"!r}, or turn the masks'
        )
    if labels.shape != size:
        return Finding(f'{pair.mask} is {_by(labels.shape)} and its image {_by(size)} (height x width)')
    found = labels_of(labels)
    return Finding(None, found, telling(pair.rules.illegal(found)))


def telling(illegal: Sequence[int]) -> int | None:
    """The label that a message names: the highest, but an ignored label only where there is no other."""
    others = [label for label in illegal if label not in (IGNORED_8_BIT, IGNORED_16_BIT)]
    return next(reversed(others or list(illegal)), None)


def illegal_labels(pairs: Sequence[Pair], findings: Sequence[Finding]) -> list[str]:
    """A clause for each data set whose masks hold a label that is no class, with the encoding they are in."""
    clauses = []
    for (kind, rules), (found, _) in by_data_set(pairs, findings).items():
        wrong = [
            (pair.mask, finding.illegal)
            for pair, finding in zip(pairs, findings, strict=True)
            if (pair.kind, pair.rules) == (kind, rules) and finding.illegal is not None
        ]
        if wrong:
            mask, label = wrong[0]
            clauses.append(f'{mask} holds label {label} ({rules}): {_encoding(mistaken_for(kind, found))}')
    return clauses


def encoding_notes(pairs: Sequence[Pair], findings: Sequence[Finding]) -> list[str]:
    """A sentence for each data set whose labels are legal and look like another encoding's."""
    notes = []
    for (kind, _), (found, images) in by_data_set(pairs, findings).items():
        other = suspected(kind, found, images) if found else None
        if other:
            notes.append(
                f'no mask of {KNOWN[kind].title} holds label {KNOWN[kind].last}, the last class: {_encoding(other)}'
            )
    return notes


def absence_notes(pairs: Sequence[Pair], findings: Sequence[Finding]) -> list[str]:
    """A sentence for each data set of which a class never occurs while the ignored label does.

    So it is with masks stored as 0 and 255. Of a public data set, a part may lack some classes: it is noted only where
    no more than one class occurs.
    """
    notes = []
    for (kind, rules), (found, _) in by_data_set(pairs, findings).items():
        absent = rules.absent(found)
        partial = kind in KNOWN and len(rules.names) - len(absent) > 1
        if rules.ignore_index in found and absent and not partial:
            more = f' nor {len(absent) - SHOWN} more classes' if len(absent) > SHOWN else ''
            notes.append(
                f'no mask of {kind} holds {" nor ".join(absent[:SHOWN])}{more}, while label {rules.ignore_index}, '
                'which is ignored, occurs: write the pixels of a class with its own label'
            )
    return notes


def by_data_set(
    pairs: Sequence[Pair], findings: Sequence[Finding]
) -> dict[tuple[str, MaskEncoding], tuple[frozenset[int], int]]:
    """(Class of data set, its rules) -> (every label that its masks hold, number of images)."""
    gathered: dict[tuple[str, MaskEncoding], tuple[frozenset[int], int]] = {}
    for pair, finding in zip(pairs, findings, strict=True):
        found, images = gathered.get((pair.kind, pair.rules), (frozenset(), 0))
        found = found if finding.labels <= found else found | finding.labels
        gathered[pair.kind, pair.rules] = (found, images + 1)
    return gathered


def labels_of(labels: np.ndarray) -> frozenset[int]:
    """Every value of a mask "h w"."""
    if labels.dtype == np.uint8:
        return frozenset(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist())
    return frozenset(np.unique(labels).tolist())


def _encoding(other: Encoding | None) -> str:
    if other is None:
        return 'its labels are in another encoding or of another data set'
    return f'these look like {other.name}; {other.remedy}'


def image_size(path: str, upright: bool = True) -> tuple[int, int]:
    """(height, width) of an image as loaded, after decoding all of it, at reduced size where the format allows.

    Args:
        path: the image.
        upright: whether the loader turns it by its EXIF orientation.
    """
    with Image.open(path) as image:
        width, height = image.size
        sideways = upright and image.getexif().get(ORIENTATION) in SIDEWAYS
        image.draft('L', (width // 8, height // 8))
        image.load()
    return (width, height) if sideways else (height, width)


def _by(size: Sequence[int]) -> str:
    return ' x '.join(map(str, size))


def _first(items: Sequence[str]) -> str:
    return '; '.join(items[:SHOWN]) + ('; ...' if len(items) > SHOWN else '')
