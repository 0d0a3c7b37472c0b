"""`mmseg-clipsurgery recognise`: which words photos hold; with --labels also how well that is found out (mAP).

The file of labels is CSV, its first column `image` (path below the folder of photos, or base name), then either one
column `labels`, or a column for each word:

    image,labels                 image,cat,grass
    a.jpg,cat; grass             a.jpg,1,1
    b.jpg,                       b.jpg,0,0
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..api.results import Recognition
from ..api.results.base import write_json
from ..evaluation.metrics.average_precision import average_precision, class_rows, mean_of_occurring, table
from ..vocabulary import Vocabulary
from .files import Photo
from .options import add_words, read_words
from .photo_run import run
from .task import Question, Task


def add_options(parser: argparse.ArgumentParser) -> None:
    add_words(parser)
    parser.add_argument(
        '--form', choices=('released', 'paper'), default='released', help='of feature surgery'
    )
    parser.add_argument('--logit-scale', type=float, help="before the softmax (default: the model's own)")
    parser.add_argument('--labels', metavar='CSV', help='what the photos hold: also report mAP')


def prepare(arguments: argparse.Namespace) -> Question:
    if len(arguments.surgery) > 1:
        raise ValueError('recognise reads the class token, which surgeries leave alone; give one --surgery')
    vocabulary = read_words(arguments)
    settings = dict(form=arguments.form, logit_scale=arguments.logit_scale)
    truth = None if arguments.labels is None else read_labels(Path(arguments.labels), vocabulary)
    return Question(
        ask=lambda model, pixels: model.recognise(pixels, vocabulary, **settings),
        settings={'words': vars(vocabulary), **settings},
        check=None if truth is None else lambda photos: check_labels(truth, photos),
        end=None if truth is None else lambda answers, out: measure(truth, vocabulary, answers, out),
    )


def read_labels(path: Path, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """A file of labels -> image -> "k" bool.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not of the form above, or names a word that was not asked for.
    """
    if not path.is_file():
        raise FileNotFoundError(f'the file of labels {path} does not exist')
    with path.open(encoding='utf-8-sig', newline='') as file:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)] or [[]]
    if len(header) < 2 or header[0] != 'image':
        raise ValueError(
            f"{path} must have a first line 'image,labels', or 'image,' and a column for each word"
        )
    labels = {row[0]: row_labels(header, row, path) for row in rows}
    unknown = sorted({word for words in labels.values() for word in words} - set(vocabulary.classes))
    if unknown:
        raise ValueError(f'{path} has the label {unknown[0]!r}, which is not among the words; add it to them')
    return {image: np.isin(vocabulary.classes, words) for image, words in labels.items()}


def row_labels(header: Sequence[str], row: Sequence[str], path: Path) -> list[str]:
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
    below = photo.name if photo.name.endswith(photo.path.suffix) else photo.name + photo.path.suffix
    return next((truth[name] for name in (below, photo.path.name) if name in truth), None)


def check_labels(truth: Mapping[str, np.ndarray], photos: Sequence[Photo]) -> None:
    """Raise ValueError for photos without labels."""
    without = [photo.path for photo in photos if label_of(truth, photo) is None]
    if without:
        raise ValueError(
            f'{len(without)} of {len(photos)} photos have no line in the file of labels, first {without[0]}'
        )


def measure(
    truth: Mapping[str, np.ndarray], vocabulary: Vocabulary, answers: Sequence[tuple[Photo, Path]], out: Path
) -> None:
    """mAP over the answers on disk, printed and written as OUT/recognise_mAP.json."""
    scores, present = [], []
    for photo, path in answers:
        found = json.loads(path.read_text(encoding='utf-8'))['scores']
        scores.append([found[name] for name in vocabulary.classes])
        present.append(label_of(truth, photo))
    if not scores:
        raise ValueError('no photo was answered, so there is no mAP')
    stacked = np.array(present, dtype=bool)
    precision = average_precision(np.array(scores), stacked)
    rows = class_rows(vocabulary.classes, precision, stacked)
    result = {'mAP': mean_of_occurring(precision.tolist()), 'images': len(scores), 'per_class': rows}
    write_json(out / 'recognise_mAP.json', result)
    print(f'{table(rows)}\nmAP {result["mAP"]:.2f} over {len(scores)} photos')


def tell(answer: Recognition) -> str:
    return ', '.join(f'{word} {score:.2f}' for word, score in answer.best(5).items())


TASK = Task('recognise', 'Say which words photos hold.', add_options, prepare, tell, 'recognise_side', True)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
