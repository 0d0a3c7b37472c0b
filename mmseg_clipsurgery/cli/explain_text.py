"""`mmseg-clipsurgery explain-text`: which words of a sentence, and which regions, carry the match with a photo."""

import argparse
from collections.abc import Sequence

from ..api.results import TextExplanation
from ..api.word_relevance import words_of
from .photo_run import run
from .task import Question, Task


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--text', required=True, help='the sentence, in quotes')
    parser.add_argument(
        '--method',
        choices=('leave_out', 'tokens'),
        default='leave_out',
        help="words by leaving each out, or by the text tower's own tokens (default: %(default)s)",
    )


def prepare(arguments: argparse.Namespace) -> Question:
    words_of(arguments.text)
    return Question(
        ask=lambda model, pixels: model.explain_text(pixels, arguments.text, method=arguments.method),
        settings={'text': arguments.text, 'method': arguments.method},
    )


def tell(answer: TextExplanation) -> str:
    words = zip(answer.words, answer.relevance.tolist(), strict=True)
    return f'cosine {answer.match:.4f}; ' + ' '.join(f'{word} {value:+.4f}' for word, value in words)


TASK = Task('explain-text', 'Show which words and regions match.', add_options, prepare, tell)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
