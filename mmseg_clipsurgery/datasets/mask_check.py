"""Images and masks on disk: every file decoded, every label judged, before a run.

Every file is decoded (in threads: seconds for a thousand photos), as truncated ones are otherwise met hours into a run.
A mask is read as the data set's own loader would (`mask_labels`). What is wrong raises one sentence.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..inference.image_formats import heed_limit, open_image
from .mask_encodings import IGNORED_8_BIT, IGNORED_16_BIT, KNOWN, mistaken_for
from .mask_labels import Labels, MaskEncoding, remedy_of

ORIENTATION = 0x0112  # EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values that exchange height and width, as the image loader does too
UPSIDE = (2, 3, 4)  # those that mirror or turn by 180 degrees
SHOWN = 3  # problems written out in a message


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
        turned: the image is turned or mirrored by its EXIF orientation, and sizes can't tell whether the mask is.
    """

    problem: str | None = None
    labels: frozenset[int] = frozenset()
    illegal: int | None = None
    turned: bool = False


def check_listed_once(pairs: Sequence[Pair]) -> None:
    """Refuse an image that is listed again with the same mask: it would count twice. Raises ValueError."""
    times = Counter((pair.image, pair.mask) for pair in pairs)
    if again := [image for (image, _), count in times.items() if count > 1]:
        raise ValueError(
            f'{len(again)} of {len(times)} images are listed more than once: {_first(again)}; list each once'
        )


def check_files(pairs: Sequence[Pair], report: Callable[[str], None]) -> Labels:
    """Existence of all files, then their content.

    Args:
        pairs: the images and masks.
        report: called with a line for every 500 images.

    Returns:
        Which labels the masks of each data set hold.

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
    seen = by_data_set(pairs, findings)
    problems = [finding.problem for finding in findings if finding.problem] or illegal_labels(
        pairs, findings, seen
    )
    if problems:
        count = sum(finding.problem is not None or finding.illegal is not None for finding in findings)
        raise ValueError(f'{count} of {len(pairs)} images or masks are wrong: {_first(problems)}')
    if turned := [pair.image for pair, finding in zip(pairs, findings, strict=True) if finding.turned]:
        report(
            f'preflight: {len(turned)} of {len(pairs)} images are turned or mirrored by their EXIF orientation '
            f'({_first(turned)}), and sizes do not tell whether their masks are: look at one'
        )
    return seen


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
    heed_limit()
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
        with open_image(pair.mask) as opened:
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
    return Finding(
        None, found, telling(pair.rules.illegal(found)), pair.upright and hidden_turn(pair.image, size)
    )


def telling(illegal: Sequence[int]) -> int | None:
    """The label that a message names: the highest, but an ignored label only where there is no other."""
    others = [label for label in illegal if label not in (IGNORED_8_BIT, IGNORED_16_BIT)]
    return next(reversed(others or list(illegal)), None)


def illegal_labels(pairs: Sequence[Pair], findings: Sequence[Finding], seen: Labels) -> list[str]:
    """A clause for each data set whose masks hold a label that is no class, with the encoding they are in."""
    clauses = []
    for (kind, rules), (found, _) in seen.items():
        wrong = [
            (pair.mask, finding.illegal)
            for pair, finding in zip(pairs, findings, strict=True)
            if (pair.kind, pair.rules) == (kind, rules) and finding.illegal is not None
        ]
        if wrong:
            mask, label = wrong[0]
            clauses.append(f'{mask} holds label {label} ({rules}): {remedy_of(mistaken_for(kind, found))}')
    return clauses


def by_data_set(pairs: Sequence[Pair], findings: Sequence[Finding]) -> Labels:
    """What the masks of each data set hold."""
    gathered: Labels = {}
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


def image_size(path: str, upright: bool = True) -> tuple[int, int]:
    """(height, width) of an image as loaded, after decoding all of it, at reduced size where the format allows.

    Args:
        path: the image.
        upright: whether the loader turns it by its EXIF orientation.
    """
    with open_image(path) as image:
        width, height = image.size
        sideways = upright and image.getexif().get(ORIENTATION) in SIDEWAYS
        image.draft('L', (width // 8, height // 8))
        image.load()
    return (width, height) if sideways else (height, width)


def hidden_turn(path: str, size: Sequence[int]) -> bool:
    """Whether an image's EXIF orientation turns or mirrors it and leaves its size (height, width) as it is."""
    with open_image(path) as image:
        orientation = image.getexif().get(ORIENTATION)
    return orientation in UPSIDE or (orientation in SIDEWAYS and size[0] == size[1])


def _by(size: Sequence[int]) -> str:
    return ' x '.join(map(str, size))


def _first(items: Sequence[str]) -> str:
    return '; '.join(items[:SHOWN]) + ('; ...' if len(items) > SHOWN else '')
