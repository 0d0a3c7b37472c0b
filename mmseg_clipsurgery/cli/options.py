"""Options that the tasks share, and what they mean: which CLIP, which words, how much is drawn."""

import argparse

import torch

from ..api.input_sizes import Side
from ..api.loading import load
from ..api.model import SurgeryModel
from ..api.results.base import OPACITY
from ..clip.sources import read_arch
from ..surgery import SURGERIES
from ..vocabulary import Vocabulary, resource_names

ARCH, WEIGHTS = 'ViT-B-16', 'openai'


def add_common(parser: argparse.ArgumentParser) -> None:
    """Photos, the model, and what is written."""
    parser.add_argument(
        'photos', nargs='+', metavar='PHOTO', help='files, or folders with all photos in them'
    )
    model = parser.add_argument_group('model')
    model.add_argument('--arch', help=f'open_clip model, folder, hf-hub:... or scenes (default: {ARCH})')
    model.add_argument('--weights', help=f'open_clip tag, file or folder (default for {ARCH}: {WEIGHTS})')
    model.add_argument(
        '--surgery',
        nargs='+',
        default=['clip_surgery'],
        metavar='NAME',
        help=f'one of {", ".join(SURGERIES)}; several are drawn side by side (default: clip_surgery)',
    )
    model.add_argument(
        '--templates', default='auto', help='sentences around each word: a name, a file, or auto'
    )
    model.add_argument(
        '--quick-gelu', choices=('yes', 'no'), help='activation, where a plain weights file is given'
    )
    model.add_argument('--device', help='cpu, cuda, cuda:1, ... (default: cuda if there is one)')
    model.add_argument(
        '--short-side',
        type=side,
        default='auto',
        metavar='PIXELS',
        help="how large photos are read; 'own' for their own size (default: what suits the model)",
    )
    output = parser.add_argument_group('output')
    output.add_argument('--out', default='clipsurgery_out', help='folder (default: %(default)s)')
    output.add_argument('--json', action='store_true', help='also write each answer as JSON')
    output.add_argument('--no-figures', action='store_true', help='write no pictures')
    output.add_argument(
        '--opacity', type=float, default=OPACITY, help='of colours over the photo (default: %(default)s)'
    )
    output.add_argument('--overwrite', action='store_true', help='answer again what is answered already')
    output.add_argument('--debug', action='store_true', help='show the traceback of an error')


def add_words(parser: argparse.ArgumentParser) -> None:
    """Which words: on the command line, or a vocabulary."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        '--words',
        nargs='+',
        metavar='WORD',
        help="the words, each with its synonyms where it has some: cat 'sofa, couch' 'background: sky, wall'",
    )
    group.add_argument(
        '--vocabulary',
        help=f'a file with such a word a line, or one of {", ".join(resource_names("vocabularies"))}',
    )


def add_presence(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--min-presence',
        type=float,
        metavar='P',
        help='drop words that the class token finds absent: less probable than this against the empty string, for '
        'instance 0.5 (default: off)',
    )


def side(text: str) -> Side:
    """'448' -> 448; 'own' -> None, the photo's own size; 'auto' stays."""
    return 'auto' if text == 'auto' else None if text == 'own' else int(text)


def read_words(arguments: argparse.Namespace) -> Vocabulary:
    """The words that were asked for. Raises ValueError, FileNotFoundError as `Vocabulary.read`."""
    if arguments.words is None:
        vocabulary = Vocabulary.read(arguments.vocabulary)
    else:
        vocabulary = Vocabulary.of([word_with_synonyms(text) for text in arguments.words])
    assert vocabulary is not None
    return vocabulary


def word_with_synonyms(text: str) -> tuple[str, list[str]]:
    """One line of a vocabulary file: 'cat', 'sofa, couch' or 'background: sky, wall'."""
    name, colon, rest = text.partition(':')
    words = [' '.join(word.split()) for word in (rest if colon else name).split(',')]
    return (' '.join(name.split()) if colon else words[0]), words


def load_models(arguments: argparse.Namespace, view: str) -> dict[str, SurgeryModel]:
    """The models, by their surgeries' names; they share their weights.

    Args:
        arguments: of `add_common`.
        view: which size `--short-side` sets, an argument of `load`.

    Raises:
        ValueError, FileNotFoundError: see `load`; random weights are refused.
    """
    arch, weights = arguments.arch, arguments.weights
    if arch is None:
        arch, weights = ARCH, weights or WEIGHTS
    if weights is None and read_arch(arch)[1] is None:
        raise ValueError(
            f'--arch {arch} brings no weights of its own; add --weights, an open_clip tag or a file'
        )
    first, *others = arguments.surgery
    gelu = None if arguments.quick_gelu is None else arguments.quick_gelu == 'yes'
    sizes = {} if arguments.short_side == 'auto' else {view: arguments.short_side}
    model = load(arch, weights, first, templates=arguments.templates, quick_gelu=gelu, **sizes)
    model.to(arguments.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    return {first: model, **{name: model.with_surgery(name) for name in others}}


def settings_of(arguments: argparse.Namespace) -> dict[str, object]:
    """The model's options that decide the answers."""
    names = ('arch', 'weights', 'surgery', 'templates', 'quick_gelu', 'short_side')
    return {name: getattr(arguments, name) for name in names}
