"""`mmseg-clipsurgery segment`: a label for every pixel, as a picture and as a mask."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from .label_formats import FORMATS, check_formats, files_of_photo, label_names, write_run
from .options import add_presence, add_words, read_words
from .photo_run import run
from .task import Question, Task

if TYPE_CHECKING:
    from ..api.results import Segmentation

PAMR = dict(iterations=10, dilations=(8, 16))  # the leaderboard's


def add_options(parser: argparse._ArgumentGroup) -> None:
    add_words(parser)
    add_presence(parser)
    parser.add_argument(
        '--logit-scale', type=float, default=40.0, help='before the softmax (default: %(default)s)'
    )
    parser.add_argument(
        '--prob-thd', type=float, help="less probable pixels become the first word, 'background'"
    )
    parser.add_argument(
        '--area-thd', type=float, help="words below this share of the foreground become 'background'"
    )
    parser.add_argument(
        '--threshold', type=float, default=0.0, help='similarity a pixel needs, for one word alone'
    )
    parser.add_argument(
        '--format',
        nargs='+',
        choices=FORMATS,
        default=[],
        help="also write 'palette': PNG masks in colours, 'labelme': polygons, 'coco': one file for all photos, masks "
        'as run lengths, which CVAT and Label Studio import',
    )
    parser.add_argument('--pamr', action='store_true', help="move borders onto the photo's edges (slow)")


def prepare(arguments: argparse.Namespace) -> Question:
    vocabulary = read_words(arguments)
    classes = label_names(vocabulary)
    check_formats(arguments.format, len(classes))
    settings = dict(
        logit_scale=arguments.logit_scale,
        prob_thd=arguments.prob_thd,
        area_thd=arguments.area_thd,
        threshold=arguments.threshold,
        pamr=PAMR if arguments.pamr else None,
        min_presence=arguments.min_presence,
    )
    return Question(
        ask=lambda model, pixels: model.segment(pixels, vocabulary, **settings),
        settings={'words': vars(vocabulary), **settings},
        files=files_of_photo(arguments.format),
        end=partial(write_run, classes) if 'coco' in arguments.format else None,
    )


def tell(result: 'Segmentation') -> str:
    return ', '.join(f'{name} {share:.0%}' for name, share in result.shares().items())


TASK = Task(
    'segment', 'Label every pixel of photos with words of your own.', add_options, prepare, tell, 'short_side'
)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
