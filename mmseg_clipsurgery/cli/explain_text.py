"""`mmseg-clipsurgery explain-text`: which words of a sentence, and which regions, carry the match with a photo."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .photo_run import run
from .task import Question, Task

if TYPE_CHECKING:
    from ..api.results import TextExplanation


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument('--text', required=True, help='the sentence, in quotes')
    parser.add_argument(
        '--method',
        choices=('leave_out', 'tokens'),
        default='leave_out',
        help="words by leaving each out, or by the text tower's own tokens (default: %(default)s)",
    )


def prepare(arguments: argparse.Namespace) -> Question:
    from ..api.word_relevance import words_of

    words_of(arguments.text)
    return Question(
        ask=lambda model, photos: model.explain_text(photos, arguments.text, method=arguments.method),
        settings={'text': arguments.text, 'method': arguments.method},
    )


def tell(result: 'TextExplanation') -> str:
    words = zip(result.words, result.relevance.tolist(), strict=True)
    return f'cosine {result.match:.4f}; ' + ' '.join(f'{word} {value:+.4f}' for word, value in words)


TASK = Task('explain-text', 'Show which words and regions match.', add_options, prepare, tell)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
