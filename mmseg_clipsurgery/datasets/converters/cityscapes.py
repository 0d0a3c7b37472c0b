"""Cityscapes: label ids 0 .. 33 -> train ids of the 19 evaluated classes; the others are ignored."""

from pathlib import Path

from ..mask_encodings import IGNORED_8_BIT
from .jobs import Job, files
from .relabelling import relabelled_mask

LABEL_IDS = range(34)
EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def cityscapes_jobs(root: Path, split: str = 'val') -> list[Job]:
    """Train ids for every mask of label ids.

    Args:
        root: folder with `gtFine/<split>`.
        split: its folder of masks.

    Raises:
        FileNotFoundError: there are no masks.
    """
    table = train_ids()
    return [
        Job(
            source,
            source.with_name(source.name.replace('_labelIds', '_labelTrainIds')),
            relabelled_mask(source, table),
        )
        for source in files(root / 'gtFine' / split, '*/*_gtFine_labelIds.png')
    ]


def train_ids() -> dict[int, int]:
    """Label id -> train id; 255, as some writers store what has no label, is ignored like the classes not evaluated."""
    ignored = dict.fromkeys((*LABEL_IDS, IGNORED_8_BIT), IGNORED_8_BIT)
    return ignored | {label_id: train_id for train_id, label_id in enumerate(EVALUATED)}
