"""`mmseg-clipsurgery points`: points for a promptable segmentor, and with --sam the mask it draws from them."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .options import add_against, check_no_file, read_others
from .photo_run import run
from .task import Question, Task

if TYPE_CHECKING:
    from ..api.model import SurgeryModel
    from ..api.results import Points, PromptedMask
    from .task import Photos


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument('--word', required=True, help="the target: a text, or several as in 'person+bench'")
    add_against(parser)
    parser.add_argument(
        '--threshold', type=float, default=0.8, help='of positive points (default: %(default)s)'
    )
    parser.add_argument(
        '--downsample', type=int, default=2, help='of the map, smooths it (default: %(default)s)'
    )
    parser.add_argument(
        '--sam', metavar='MODEL', help='also draw the mask, by a SAM or SAM 2: hub name or folder'
    )


def prepare(arguments: argparse.Namespace) -> Question:
    from ..api.word_lists import texts_of
    from ..explain import check_point_settings

    for text in texts_of(arguments.word):
        check_no_file(text)
    others = read_others(arguments.against)
    check_point_settings(arguments.threshold, arguments.downsample)
    settings = dict(among=arguments.against, threshold=arguments.threshold, downsample=arguments.downsample)
    sam = None
    if arguments.sam:
        from ..api.sam import Sam
        from .models import device_of

        sam = Sam(arguments.sam).to(device_of(arguments))

    def ask(model: 'SurgeryModel', photos: 'Photos') -> 'list[Points] | list[PromptedMask]':
        points = model.points(photos, arguments.word, **{**settings, 'among': others})
        return points if sam is None else [sam.mask(found) for found in points]

    files = {} if sam is None else {'mask.png': lambda result, path, photo: result.save_mask(path)}
    asked = {'word': arguments.word, 'sam': sam_identity(arguments.sam), **settings}
    return Question(ask, asked, files, of_patches=arguments.against is None)


def sam_identity(model: str | None) -> 'str | dict[str, str] | None':
    """Which SAM: its hub name, or the SHA-256 of each file of its folder."""
    from .origins import file_sha256

    if model is None or not Path(model).is_dir():
        return model
    return {file.name: file_sha256(file) for file in sorted(Path(model).iterdir()) if file.is_file()}


def tell(result: 'Points | PromptedMask') -> str:
    from ..api.results import PromptedMask

    if isinstance(result, PromptedMask):
        return f'mask of {result.mask.mean():.0%} of the photo, its own score {result.score:.2f}'
    return f'{int(result.labels.sum())} of {len(result.labels)} points are positive'


TASK = Task('points', 'Find points of a target for SAM.', add_options, prepare, tell, always_json=True)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
