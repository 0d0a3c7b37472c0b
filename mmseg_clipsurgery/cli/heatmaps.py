"""`mmseg-clipsurgery heatmaps`: where each word is."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .options import SURGERY, add_against, add_presence, add_words, read_others, read_words
from .photo_run import run
from .task import Question, Task

if TYPE_CHECKING:
    from ..api.model import SurgeryModel
    from ..api.results import HeatMaps
    from ..vocabulary import Vocabulary
    from .task import Photos


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
    parser.add_argument(
        '--explainer',
        nargs='+',
        default=[],
        metavar='NAME',
        help='in place of a surgery and a form: attention, rollout, grad_cam, relevance, relevance_all, grad_eclip, '
        'legrad, legrad_all, rclip, clip_surgery:released, ... (docs/explain.md), or one that --import adds; several '
        'are drawn side by side',
    )


def prepare(arguments: argparse.Namespace) -> Question:
    from ..recognition import check_presence

    vocabulary = read_words(arguments)
    others = read_others(arguments.against)
    check_presence(arguments.min_presence)
    check_used(arguments)
    settings = dict(among=arguments.against, form=arguments.form, min_presence=arguments.min_presence)
    if arguments.explainer:
        return explained(arguments, vocabulary, settings)
    return Question(
        ask=lambda model, photos: model.heatmaps(photos, vocabulary, **{**settings, 'among': others}),
        settings={'words': vars(vocabulary), **settings},
        note=None if arguments.min_presence is None else note_absence,
        of_patches=arguments.form == 'cosine' and arguments.min_presence is None,
    )


def explained(
    arguments: argparse.Namespace, vocabulary: 'Vocabulary', settings: Mapping[str, Any]
) -> Question:
    """The question of several explainers.

    Raises:
        ValueError: an unknown explainer, or one given twice.
    """
    from ..environment.extensions import digest_of
    from ..explainers.table import explainer_asked, explainer_named

    names = arguments.explainer
    if len(set(names)) < len(names):
        raise ValueError(f'got --explainer {" ".join(names)}; give each explainer once')
    for name in names:
        explainer_asked(name, arguments.form)
    arguments.surgery = ['clip']  # fits every tower; explainers bring their own

    def bind(name: str, model: 'SurgeryModel') -> 'Callable[[Photos], Sequence[HeatMaps]]':
        model.encoders.check(explainer_named(name))
        others = read_others(arguments.against)
        return lambda photos: model.heatmaps(
            photos, vocabulary, explainer=name, **{**settings, 'among': others}
        )

    own_files = {
        name: [digest_of('explainer', name), digest_of('surgery', name.partition(':')[0])] for name in names
    }
    return Question(
        ask=lambda model, photos: bind(names[0], model)(photos),
        settings={'words': vars(vocabulary), **settings, 'explainer': own_files},
        variants={name: partial(bind, name) for name in names},
        compares='explainer',
        note=None if arguments.min_presence is None else note_absence,
    )


def check_used(arguments: argparse.Namespace) -> None:
    """Refuse options of which one would not be heard beside the other. Raises ValueError."""
    names = ' '.join(arguments.explainer)
    if names and arguments.surgery is not SURGERY:
        raise ValueError(
            f'got --explainer {names} and --surgery {" ".join(arguments.surgery)}; give surgeries as explainers: '
            '--explainer clip_surgery sclip:released'
        )
    if arguments.against and not names and arguments.form == 'cosine':
        raise ValueError(
            'got --form cosine and --against, and cosines tell a word from no other; leave one of them out'
        )
    for name in arguments.explainer if arguments.against else ():
        if not tells_apart(name):
            raise ValueError(
                f'got --explainer {name} and --against, and {name} tells a word from no other; leave --against out, or '
                'take an explainer such as clip_surgery:released'
            )


def tells_apart(name: str) -> bool:
    """Whether an explainer's map of a word may depend on the other words: by feature surgery, or one of an own file."""
    from ..environment.extensions import digest_of
    from ..explainers.table import explainer_named

    similarity = explainer_named(name).similarity
    own = digest_of('explainer', name) is not None
    return own or similarity not in (None, 'cosine')


def note_absence(result: 'HeatMaps') -> str | None:
    """What is said of a photo in which no word is present."""
    if not result.none_present:
        return None
    return f'none of the words is present; the map is that of {", ".join(result.words)}'


def tell(result: 'HeatMaps') -> str:
    return ', '.join(result.words)


TASK = Task('heatmaps', 'Draw where each word is in photos.', add_options, prepare, tell)


def main(arguments: Sequence[str]) -> int:
    return run(TASK, arguments)
