"""What photos hold, from a file, and how well that was found out (mAP).

The file is CSV, its first column `image` (path below the folder of photos, or base name), then either one column
`labels`, or a column for each word:

    image,labels                 image,cat,grass
    a.jpg,cat; grass             a.jpg,1,1
    b.jpg,                       b.jpg,0,0
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..environment.files import write_json
from ..environment.paths import user_path
from ..evaluation.metrics.average_precision import average_precision, class_rows, mean_of_occurring, table
from ..vocabulary import Vocabulary
from .files import Photo, ResultFiles


def read_labels(path: Path, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """A file of labels -> image -> "k" bool, whether the photo holds each word.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not of the form above, or names a word that was not asked for.
    """
    path = user_path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the file of labels {path} does not exist')
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            header, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)] or [[]]
    except UnicodeDecodeError:
        raise ValueError(f'{path} is not UTF-8 text; save it as UTF-8 (spreadsheets: "CSV UTF-8")') from None
    except csv.Error as error:
        raise ValueError(f'{path} is no CSV file that can be read ({error}); save it anew as CSV') from None
    if len(header) < 2 or header[0] != 'image':
        raise ValueError(
            f"{path} must have a first line 'image,labels', or 'image,' and a column for each word"
        )
    for what, names in (('column', header), ('image', [row[0] for row in rows])):
        if again := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(
                f'{path} has the {what} {again[0]!r} more than once; give each one line or column'
            )
    labels = {row[0]: row_labels(header, row, path) for row in rows}
    unknown = sorted({word for words in labels.values() for word in words} - set(vocabulary.classes))
    if unknown:
        raise ValueError(f'{path} has the label {unknown[0]!r}, which is not among the words; add it to them')
    return {image: np.isin(vocabulary.classes, words) for image, words in labels.items()}


def row_labels(header: Sequence[str], row: Sequence[str], path: Path) -> list[str]:
    """The words that one line says the photo holds.

    Raises:
        ValueError: it has another number of cells than the first line, or a cell that is neither 0, 1 nor empty.
    """
    if len(row) != len(header):
        raise ValueError(
            f'{path}: the line of {row[0]} has {len(row)} cells, the first line has {len(header)}'
        )
    if header[1:] == ['labels']:
        return [' '.join(word.split()) for word in row[1].split(';') if word.strip()]
    if wrong := sorted(set(row[1:]) - {'0', '1', ''}):
        raise ValueError(f'{path}: the line of {row[0]} holds {wrong[0]!r} where 0 or 1 is expected')
    return [word for word, cell in zip(header[1:], row[1:], strict=True) if cell == '1']


def label_of(truth: Mapping[str, np.ndarray], photo: Photo) -> np.ndarray | None:
    """A photo's labels, by its path below the folder or by its base name."""
    return next((truth[name] for name in (photo.relative, photo.path.name) if name in truth), None)


def check_labels(truth: Mapping[str, np.ndarray], photos: Sequence[Photo]) -> None:
    """Make sure that every photo has labels.

    Raises:
        ValueError: some have none.
    """
    without = [photo.path for photo in photos if label_of(truth, photo) is None]
    if without:
        raise ValueError(
            f'{len(without)} of {len(photos)} photos have no line in the file of labels, first {without[0]}'
        )


def measure(
    truth: Mapping[str, np.ndarray], vocabulary: Vocabulary, photos: Sequence[Photo], places: ResultFiles
) -> None:
    """mAP over the results on disk, by the softmax and by presence, printed and written as OUT/recognise_mAP.json."""
    if not photos:
        raise ValueError('no photo was answered, so there is no mAP')
    records = [
        json.loads(places.path(photo, 'recognise.json').read_text(encoding='utf-8')) for photo in photos
    ]
    stacked = np.array([label_of(truth, photo) for photo in photos], dtype=bool)
    scores, presence = (
        np.array([[record[kind][name] for name in vocabulary.classes] for record in records])
        for kind in ('scores', 'presence')
    )
    precision = average_precision(scores, stacked)
    rows = class_rows(vocabulary.classes, precision, stacked)
    by_presence = mean_of_occurring(average_precision(presence, stacked).tolist())
    result = {
        'mAP': mean_of_occurring(precision.tolist()),
        'mAP_presence': by_presence,
        'images': len(photos),
    }
    write_json(places.out / 'recognise_mAP.json', {**result, 'per_class': rows})
    print(
        f'{table(rows)}\nmAP {result["mAP"]:.2f} by the softmax over the words, {by_presence:.2f} by presence, over '
        f'{len(photos)} photos'
    )
