"""`mmseg-clipsurgery heatmaps`: where each word is."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .options import add_against, add_presence, add_words, read_words
from .photo_run import run
from .task import Question, Task

if TYPE_CHECKING:
    from ..api.results import HeatMaps


def add_options(parser: argparse._ArgumentGroup) -> None:
    add_words(parser)
    add_against(parser)
    add_presence(parser)
    parser.add_argument(
        '--form',
        choices=('cosine', 'paper', 'released'),
        default='released',
        help='of feature surgery, or cosine for none (default: %(default)s)',
    )


def prepare(arguments: argparse.Namespace) -> Question:
    vocabulary = read_words(arguments)
    settings = dict(among=arguments.against, form=arguments.form, min_presence=arguments.min_presence)
    return Question(
        ask=lambda model, pixels: model.heatmaps(pixels, vocabulary, **settings),
        settings={'words': vars(vocabulary), **settings},
    )


def tell(result: 'HeatMaps') -> str:
    return ', '.join(result.words)


TASK = Task('heatmaps', 'Draw where each word is in photos.', add_options, prepare, tell)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
