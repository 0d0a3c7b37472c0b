"""`mmseg-clipsurgery patch-query`: which patches the patch at a pixel looks at."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..environment.numbers import check_count
from .photo_run import run
from .task import Question, Task

if TYPE_CHECKING:
    from ..api.model import SurgeryModel
    from ..api.results import PatchAttention
    from .files import Photo
    from .task import Photos


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        '--at', nargs=2, type=int, metavar=('X', 'Y'), help="the pixel (default: the photo's middle)"
    )
    parser.add_argument(
        '--block', type=int, default=-1, help='of the tower, from the end (default: -1, the last)'
    )


def prepare(arguments: argparse.Namespace) -> Question:
    for name, value in zip(('X', 'Y'), arguments.at or (), strict=False):
        check_count(f'{name} of --at', value, least=0)

    def ask(model: 'SurgeryModel', photos: 'Photos') -> 'list[PatchAttention]':
        middles = [(photo.shape[1] // 2, photo.shape[0] // 2) for photo in photos]
        return [
            model.attention(photo, arguments.at or middle, block=arguments.block)
            for photo, middle in zip(photos, middles, strict=True)
        ]

    return Question(
        ask,
        {'at': arguments.at, 'block': arguments.block},
        check=None if arguments.at is None else partial(check_pixel, arguments.at),
    )


def check_pixel(at: Sequence[int], photos: 'Sequence[Photo]') -> None:
    """Refuse a pixel (x, y) that lies outside every photo; files that can't be read are told of later.

    Raises:
        ValueError: it does.
    """
    from ..inference.image_formats import open_image

    sizes = []
    for photo in photos:
        try:
            with open_image(photo.path) as image:
                sizes.append(image.size)
        except Exception:  # whatever it holds
            return
        if at[0] < max(sizes[-1]) and at[1] < max(sizes[-1]):  # a camera's photo may lie on its side
            return
    width, height = max(sizes, key=max)
    raise ValueError(
        f'--at {at[0]} {at[1]} lies outside every photo, the largest has {width} x {height} pixels; give x and y of '
        'a pixel, counted from 0'
    )


def tell(result: 'PatchAttention') -> str:
    share = f'{result.weights.sum():.0%}'
    return f'patch at {result.xy}: {share} of its attention goes to patches, the rest to the class token'


TASK = Task('patch-query', 'Draw what one patch looks at.', add_options, prepare, tell)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
