"""`mmseg-clipsurgery recognise`: which words photos hold; with --labels also how well that is found out (mAP)."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..environment.numbers import check_positive
from .options import add_words, read_words
from .photo_run import run
from .task import Question, Task

if TYPE_CHECKING:
    from ..api.results import Recognition

PRESENT = 0.5  # presence from which on a photo is nearer to a word than to the empty string


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
    if vocabulary.num_classes == 1 and arguments.form != 'released':
        raise ValueError(f'--form {arguments.form} tells words apart, and there is one; leave --form out')
    settings = dict(form=arguments.form, logit_scale=arguments.logit_scale)
    truth = None if arguments.labels is None else read_labels(Path(arguments.labels), vocabulary)
    return Question(
        ask=lambda model, photos: model.recognise(photos, vocabulary, **settings),
        settings={'words': vars(vocabulary), **settings},
        check=None if truth is None else lambda photos: check_labels(truth, photos),
        end=None if truth is None else lambda photos, places: measure(truth, vocabulary, photos, places),
    )


def tell(result: 'Recognition') -> str:
    presence, scores = (
        {
            word: value for word, value in found.items() if word.lower() != 'background'
        }  # no thing to recognise
        for found in (result.present(len(result.words)), result.best(len(result.words)))
    )
    there = {word: value for word, value in presence.items() if value >= PRESENT}
    said = f'is there: {listed(there, 8)}' if there else f'no word is there, likeliest: {listed(presence, 3)}'
    return said + (f'; fits best: {listed(scores, 3)}' if len(scores) > 1 else '')


def listed(values: Mapping[str, float], most: int) -> str:
    """The first words with their values."""
    return ', '.join(f'{word} {value:.2f}' for word, value in [*values.items()][:most])


TASK = Task('recognise', 'Say which words photos hold.', add_options, prepare, tell, 'recognise_side', True)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
