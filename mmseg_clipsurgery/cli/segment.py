"""`mmseg-clipsurgery segment`: a label for every pixel, as a picture and as a mask."""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..inference.calibration_files import DEFAULTS, Calibration
from ..vocabulary import Vocabulary
from .label_formats import FORMATS, FORMATS_OF_RUN, check_formats, files_of_photo, write_run
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
        '--logit-scale',
        type=float,
        default=DEFAULTS['logit_scale'],
        help='before the softmax (default: %(default)s)',
    )
    parser.add_argument(
        '--prob-thd', type=float, help="less probable pixels become the first word, 'background'"
    )
    parser.add_argument(
        '--area-thd', type=float, help="words below this share of the foreground become 'background'"
    )
    parser.add_argument(
        '--threshold',
        type=float,
        default=DEFAULTS['threshold'],
        help='similarity a pixel needs, for one word alone',
    )
    parser.add_argument(
        '--calibration',
        metavar='FILE',
        help='thresholds that `calibrate` chose, in place of the four above',
    )
    parser.add_argument(
        '--format',
        nargs='+',
        choices=FORMATS,
        default=[],
        help="also write, for each photo, 'palette': PNG masks in colours, 'labelme': polygons; for all photos "
        "together, 'coco': masks as run lengths, which CVAT imports, 'label_studio': polygons",
    )
    parser.add_argument('--pamr', action='store_true', help="move borders onto the photo's edges (slow)")


def prepare(arguments: argparse.Namespace) -> Question:
    vocabulary = read_words(arguments)
    check_used(arguments, vocabulary)
    classes = vocabulary.label_names
    check_formats(arguments.format, len(classes))
    settings = dict(
        **thresholds(arguments, vocabulary),
        pamr=PAMR if arguments.pamr else None,
        min_presence=arguments.min_presence,
    )
    check_settings(settings, vocabulary)
    of_run = [name for name in FORMATS_OF_RUN if name in arguments.format]
    return Question(
        ask=lambda model, photos: model.segment(photos, vocabulary, **settings),
        settings={'words': vars(vocabulary), **settings},
        files=files_of_photo(arguments.format),
        end=partial(write_run, of_run, classes) if of_run else None,
        note=None if arguments.min_presence is None else note_absence,
        of_patches=arguments.min_presence is None,
    )


def check_used(arguments: argparse.Namespace, vocabulary: Vocabulary) -> None:
    """Refuse an option that labels by so many words don't depend on. Raises ValueError."""
    one, words = vocabulary.num_classes == 1, '--words' if arguments.words else '--vocabulary'
    option = 'logit_scale' if one else 'threshold'
    if getattr(arguments, option) != DEFAULTS[option]:
        written = f'--{option.replace("_", "-")}'
        raise ValueError(
            f'{written} is for two words or more, and {words} has one; leave {written} out'
            if one
            else f'{written} is for one word alone, and {words} has {vocabulary.num_classes}; leave {written} out'
        )


def check_settings(settings: Mapping[str, Any], vocabulary: Vocabulary) -> None:
    """Refuse before a model is loaded what `SurgeryModel.segment` would refuse after it. Raises ValueError."""
    from ..inference.settings import InferenceSettings, check_thresholds
    from ..recognition import check_presence

    of_classes = {
        name: value for name, value in settings.items() if name not in ('threshold', 'min_presence')
    }
    check_thresholds(InferenceSettings.read(of_classes, patch=1), vocabulary)
    check_presence(settings['min_presence'])


def thresholds(arguments: argparse.Namespace, vocabulary: Vocabulary) -> dict[str, float | None]:
    """Logit scale and thresholds, as they were given or calibrated.

    Raises:
        ValueError, FileNotFoundError: both, or see `Calibration`.
    """
    given = {name: getattr(arguments, name) for name in DEFAULTS}
    if arguments.calibration is None:
        return given
    if own := [name for name, value in given.items() if value != DEFAULTS[name]]:
        raise ValueError(f'--calibration brings thresholds; leave --{own[0].replace("_", "-")} out')
    if len(arguments.surgery) > 1:
        raise ValueError('--calibration is of one surgery; give one --surgery')
    from ..surgery import Surgery

    surgery = Surgery.read(arguments.surgery[0]).name
    return {**given, **Calibration.read(arguments.calibration).settings_for(vocabulary, surgery)}


def note_absence(result: 'Segmentation') -> str | None:
    """What is said of a photo in which no word is present."""
    if not result.none_present:
        return None
    kept = 'all of it is background'
    if result.classes[0].lower() != 'background':
        kept = f'it is labelled with the likeliest, {next(iter(result.shares()))}, for want of a background'
    return f'none of the words is present; {kept}'


def tell(result: 'Segmentation') -> str:
    return ', '.join(f'{name} {share:.0%}' for name, share in result.shares().items())


TASK = Task(
    'segment', 'Label every pixel of photos with words of your own.', add_options, prepare, tell, 'short_side'
)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
