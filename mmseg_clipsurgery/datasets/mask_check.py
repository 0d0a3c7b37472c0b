"""Images and masks on disk: every file decoded, every label judged, before a run.

Every file is decoded (in threads: seconds for a thousand photos), as truncated ones are otherwise met hours into a run.
A mask is read as the data set's own loader would:

    label on file          without reduce_zero_label      with it
    0                      class 0                        ignored
    1 .. k - 1             class 1 .. k - 1               class 0 .. k - 2
    k                      an error                       class k - 1
    ignore_index           ignored                        ignored

What is wrong raises one sentence; signs of another encoding come back as notes.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .mask_encodings import KNOWN, Encoding, mistaken_for, suspected

ORIENTATION = 0x0112  # EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values that exchange height and width, as the image loader does too
SHOWN = 3  # problems written out in a message


@dataclass(frozen=True)
class MaskEncoding:
    """Which labels may stand in a mask file.

    classes: number of classes of the mask files (before a selection of classes).
    ignore_index: the label that the evaluator leaves out.
    reduce_zero_label: whether 0 is ignored and the others move down by one.
    """

    classes: int
    ignore_index: int = 255
    reduce_zero_label: bool = False

    def illegal(self, found: Iterable[int]) -> list[int]:
        """Those of a mask's labels that are neither a class nor ignored, in order."""
        highest = self.classes - 1 + int(self.reduce_zero_label)
        return sorted(one for one in found if not 0 <= one <= highest and one != self.ignore_index)

    def __str__(self) -> str:
        first = int(self.reduce_zero_label)
        zero = '0 and ' if first else ''
        return f'{self.classes} classes are {first}..{self.classes - 1 + first}, ignored {zero}{self.ignore_index}'


@dataclass(frozen=True)
class Pair:
    """An image, its mask (None: there is none, or nobody asks for it), its data set's class, and its labels' rules."""

    image: str
    mask: str | None
    kind: str
    rules: MaskEncoding


@dataclass(frozen=True)
class Finding:
    """What one pair shows: a problem in a clause, every label of the mask, and the one that is no class (or None)."""

    problem: str | None = None
    labels: frozenset[int] = frozenset()
    illegal: int | None = None


def check_files(pairs: Sequence[Pair], report: Callable[[str], None]) -> list[str]:
    """Existence of all files, then their content.

    Returns:
        Notes, a sentence each: labels that are all legal and yet look like another encoding's.

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
    problems = [one.problem for one in findings if one.problem] or illegal_labels(pairs, findings)
    if problems:
        count = sum(one.problem is not None or one.illegal is not None for one in findings)
        raise ValueError(f'{count} of {len(pairs)} images or masks are wrong: {_first(problems)}')
    return encoding_notes(pairs, findings)


def check_existence(kind: str, paths: Sequence[str], remedy: str) -> None:
    """Raise FileNotFoundError if one of the files is not there."""
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} listed {kind}s do not exist: {_first(missing)}; {remedy}'
        )


def examine(pairs: Sequence[Pair], report: Callable[[str], None]) -> list[Finding]:
    """Decode every file."""
    Image.init()  # plugins, before threads ask for them
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
        size = image_size(pair.image)
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
    if labels.shape != size:
        return Finding(f'{pair.mask} is {_by(labels.shape)} and its image {_by(size)} (height x width)')
    found = labels_of(labels)
    illegal = pair.rules.illegal(found)
    return Finding(None, found, illegal[-1] if illegal else None)


def illegal_labels(pairs: Sequence[Pair], findings: Sequence[Finding]) -> list[str]:
    """A clause for each data set whose masks hold a label that is no class, with the encoding they are in."""
    clauses = []
    for kind, (found, _) in by_kind(pairs, findings).items():
        wrong = [
            (pair, one)
            for pair, one in zip(pairs, findings, strict=True)
            if pair.kind == kind and one.illegal is not None
        ]
        if wrong:
            pair, one = wrong[0]
            clauses.append(
                f'{pair.mask} holds label {one.illegal} ({pair.rules}): {_encoding(mistaken_for(kind, found))}'
            )
    return clauses


def encoding_notes(pairs: Sequence[Pair], findings: Sequence[Finding]) -> list[str]:
    """A sentence for each data set whose labels are legal and look like another encoding's."""
    notes = []
    for kind, (found, images) in by_kind(pairs, findings).items():
        other = suspected(kind, found, images) if found else None
        if other:
            notes.append(
                f'no mask of {KNOWN[kind].title} holds label {KNOWN[kind].last}, the last class: {_encoding(other)}'
            )
    return notes


def by_kind(pairs: Sequence[Pair], findings: Sequence[Finding]) -> dict[str, tuple[frozenset[int], int]]:
    """Class of data set -> (every label that its masks hold, number of images)."""
    gathered: dict[str, tuple[frozenset[int], int]] = {}
    for pair, one in zip(pairs, findings, strict=True):
        found, images = gathered.get(pair.kind, (frozenset(), 0))
        gathered[pair.kind] = (found if one.labels <= found else found | one.labels, images + 1)
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


def image_size(path: str) -> tuple[int, int]:
    """(height, width) of an image as loaded, after decoding all of it, at reduced size where the format allows."""
    with Image.open(path) as image:
        width, height = image.size
        sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
        image.draft('L', (width // 8, height // 8))
        image.load()
    return (width, height) if sideways else (height, width)


def _by(size: Sequence[int]) -> str:
    return ' x '.join(map(str, size))


def _first(items: Sequence[str]) -> str:
    return '; '.join(items[:SHOWN]) + ('; ...' if len(items) > SHOWN else '')
