"""`mmseg-clipsurgery recognise`: which words photos hold; with --labels also how well that is found out (mAP)."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..environment.numbers import check_positive
from .options import add_words, read_words
from .photo_run import run
from .task import Question, Task

if TYPE_CHECKING:
    from ..api.results import Recognition


def add_options(parser: argparse._ArgumentGroup) -> None:
    add_words(parser)
    parser.add_argument(
        '--form', choices=('released', 'paper'), default='released', help='of feature surgery'
    )
    parser.add_argument('--logit-scale', type=float, help="before the softmax (default: the model's own)")
    parser.add_argument('--labels', metavar='CSV', help='what the photos hold: also report mAP')


def prepare(arguments: argparse.Namespace) -> Question:
    if len(arguments.surgery) > 1:
        raise ValueError('recognise reads the class token, which surgeries leave alone; give one --surgery')
    from .photo_labels import check_labels, measure, read_labels

    vocabulary = read_words(arguments)
    if arguments.logit_scale is not None:
        check_positive('--logit-scale', arguments.logit_scale)
    settings = dict(form=arguments.form, logit_scale=arguments.logit_scale)
    truth = None if arguments.labels is None else read_labels(Path(arguments.labels), vocabulary)
    return Question(
        ask=lambda model, photos: model.recognise(photos, vocabulary, **settings),
        settings={'words': vars(vocabulary), **settings},
        check=None if truth is None else lambda photos: check_labels(truth, photos),
        end=None if truth is None else lambda photos, places: measure(truth, vocabulary, photos, places),
    )


def tell(result: 'Recognition') -> str:
    there, best = (
        [f'{word} {value:.2f}' for word, value in found.items()]
        for found in (result.present(8), result.best(3))
    )
    fits = f'; fits best: {", ".join(best)}' if len(result.words) > 1 else ''
    return f'is there: {", ".join(there)}{fits}'


TASK = Task('recognise', 'Say which words photos hold.', add_options, prepare, tell, 'recognise_side', True)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
