"""Options that the tasks share: which CLIP, which words, how much is drawn."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..environment.paths import local_path, user_path
from ..surgery import SURGERIES
from ..vocabulary import Vocabulary, resource_names
from ..word_lines import from_line
from .common import add_debug_option, add_import_option

PHOTOS_FIRST = 'write photos before the options, as in: segment photo.jpg --words cat dog'
FILE_ENDINGS = (
    '.jpg',
    '.jpeg',
    '.png',
    '.tif',
    '.tiff',
    '.webp',
    '.bmp',
    '.txt',
    '.json',
    '.csv',
    '.yaml',
    '.yml',
)
# Those of `visualization.panels` and `api.reading`; they are not imported, since --help must not import torch.
OPACITY, MAX_PIXELS = 0.6, 178_956_970
SURGERY = ['clip_surgery']  # the default; known by its identity, since it may also be asked for
# Settings of the Python interface -> the options that set them, where their names differ.
INNER_NAMES = {
    'among': '--against',
    'xy': '--at',
    'pretrained': '--weights',
    'sentence': '--text',
    **dict.fromkeys(('segment', 'explain', 'recognise'), '--short-side'),
    **dict.fromkeys(('explain_side', 'recognise_side'), '--short-side'),
}


def add_common(parser: argparse.ArgumentParser) -> None:
    """Photos, the model, and what is written."""
    parser.add_argument(
        'photos', nargs='*', metavar='PHOTO', help='files, or folders with all photos in them'
    )
    add_model(parser)
    output = parser.add_argument_group('output')
    output.add_argument('--out', default='clipsurgery_out', help='folder (default: %(default)s)')
    output.add_argument('--json', action='store_true', help='also write each result as JSON')
    output.add_argument('--no-figures', action='store_true', help='write no pictures')
    output.add_argument(
        '--opacity', type=float, default=OPACITY, help='of colours over the photo (default: %(default)s)'
    )
    output.add_argument(
        '--overwrite', action='store_true', help='answer photos again that have results already'
    )
    add_many(parser)
    add_import_option(parser)
    add_debug_option(parser)


def add_many(parser: argparse.ArgumentParser) -> None:
    """What is done beside the model, and which photos are this process's."""
    many = parser.add_argument_group('many photos')
    many.add_argument(
        '--threads',
        type=int,
        default=2,
        metavar='N',
        help='that read photos ahead, and beside a GPU write results; 0: none (default: %(default)s)',
    )
    many.add_argument(
        '--shard',
        metavar='I/N',
        help='answer every N-th photo from the I-th on, I from 0 to N - 1: a part of a folder, for other processes '
        'and machines to answer the rest',
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which CLIP, which surgery, how photos are read."""
    model = parser.add_argument_group('model')
    model.add_argument('--arch', help='open_clip model, folder, hf-hub:... or scenes (default: ViT-B-16)')
    model.add_argument('--weights', help='open_clip tag, file or folder (default for ViT-B-16: openai)')
    model.add_argument(
        '--surgery',
        nargs='+',
        default=SURGERY,
        metavar='NAME',
        help=f'one of {", ".join(SURGERIES)}, or one that --import adds; several are drawn side by side '
        '(default: clip_surgery)',
    )
    model.add_argument(
        '--guide',
        metavar='WEIGHTS',
        help='second tower of proxyclip: a file of a DINO ViT, or timm:vit_base_patch8_224.dino',
    )
    model.add_argument(
        '--guide-arch', default='vitb8', help='its arch, such as vits16 (default: %(default)s)'
    )
    model.add_argument(
        '--layer',
        type=int,
        metavar='N',
        help='block at which patches are read, counted from 1 (default: the last one)',
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
        help="size of photos for the model; 'own' for their own size (default: what suits the model)",
    )
    model.add_argument(
        '--batch',
        type=int,
        default=8,
        metavar='N',
        help='photos of one size, or windows, that the tower takes at once (default: %(default)s)',
    )
    model.add_argument(
        '--bit-depth',
        type=int,
        metavar='BITS',
        help='of photos with 16 bits a channel, from 8 to 16 (default: the least that holds the largest value)',
    )
    model.add_argument(
        '--max-pixels',
        type=int,
        default=MAX_PIXELS,
        metavar='N',
        help='photos of more pixels are refused (default: %(default)s)',
    )


def add_words(parser: argparse._ArgumentGroup, required: bool = True) -> None:
    """Which words: on the command line, or a vocabulary."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument(
        '--words',
        nargs='+',
        metavar='WORD',
        help="the words, each with its synonyms where it has some: cat 'sofa, couch' 'background: sky, wall'. What "
        "is not to be found goes into a first word 'background': its words are negative ones, whose pixels are "
        "labelled 'background'",
    )
    group.add_argument(
        '--vocabulary',
        help=f'a file with such a word a line, or one of {", ".join(resource_names("vocabularies"))}',
    )


def add_against(parser: argparse._ArgumentGroup) -> None:
    """Which other words maps compete with."""
    parser.add_argument(
        '--against',
        nargs='+',
        metavar='WORD',
        help='other words that the map is told from, by feature surgery; they get no maps of their own',
    )


def add_presence(parser: argparse._ArgumentGroup) -> None:
    """Whether words that the class token finds absent are dropped."""
    parser.add_argument(
        '--min-presence',
        type=float,
        metavar='P',
        help='drop words that the class token finds absent: less probable than this against the empty string, for '
        'instance 0.5 (default: off). A photo in which no word is present is named, and is all background; where words '
        'have no background, the likeliest one stays',
    )


def side(text: str) -> int | Literal['auto'] | None:
    """'448' -> 448; 'own' -> None, the photo's own size; 'auto' stays."""
    if text in ('auto', 'own'):
        return 'auto' if text == 'auto' else None
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"give a number of pixels, 'own' or 'auto', got {text!r}")
    return int(text)


def read_words(arguments: argparse.Namespace) -> Vocabulary:
    """The words that were asked for.

    Raises:
        ValueError, FileNotFoundError: see `Vocabulary.read`.
    """
    from ..api.word_lists import given_words

    if arguments.words is None:
        user_path(arguments.vocabulary)  # as a path, if it is one
        return given_words(arguments.vocabulary)
    classes = read_classes(arguments.words)
    if len(classes) == 1 and len(classes[0][1]) > 1 and ':' not in arguments.words[0]:
        name, words = classes[0]
        print(
            f'note: {arguments.words[0]!r} is one class, {name!r}, with synonyms; classes are set apart by blanks: '
            f'--words {" ".join(map(repr, words))}',
            file=sys.stderr,
        )
    return given_words(Vocabulary.of(classes))


def check_photos(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Make sure that photos are given and are there; without any, argparse's own refusal.

    Raises:
        ValueError: a file or folder was taken for the value of an option, or a URL for a path.
        FileNotFoundError: a photo or folder is not there.
    """
    check_there(arguments.photos)
    if arguments.photos:
        return
    for option in ('words', 'against', 'surgery', 'explainer'):
        for text in getattr(arguments, option, None) or ():
            if is_file(text) or os.path.isdir(text):
                raise ValueError(
                    f'no photos are given, {text!r} was read as one of --{option}; {PHOTOS_FIRST}'
                )
    parser.error('the following arguments are required: PHOTO')


def check_there(photos: Sequence[str]) -> None:
    """Refuse photos and folders that are not there. Raises ValueError or FileNotFoundError as `find_photos`."""
    for given in photos:
        if not local_path(given).exists():
            raise FileNotFoundError(f'{given} does not exist; give photos or folders of photos')


def is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # too long for a path
        return False


def read_others(texts: Sequence[str] | None) -> Vocabulary | None:
    """The words of `--against`; None for none. Raises ValueError as `read_classes`."""
    return None if texts is None else Vocabulary.of(read_classes(texts))


def read_classes(texts: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each as a line of a vocabulary file: 'cat', 'sofa, couch' or 'background: sky, wall'.

    Raises:
        ValueError: a file, a shipped vocabulary, or what is no class of a file either.
    """
    classes = []
    for text in texts:
        if not text.strip():
            raise ValueError('got an empty word, remove it or write what it should be')
        check_no_file(text)
        if text in resource_names('vocabularies'):
            raise ValueError(f'the word {text!r} is a shipped vocabulary; give --vocabulary {text}')
        try:
            classes.append(from_line(1, text, place=1))
        except ValueError:
            raise ValueError(
                f"the word {text!r} is none; set words apart by blanks, each with synonyms behind commas: cat 'sofa, "
                "couch'"
            ) from None
    return classes


def check_no_file(text: str) -> None:
    """Refuse a word that names a file or a folder. Raises ValueError."""
    there = os.sep in text and os.path.exists(text)
    if there or Path(text).suffix.lower() in FILE_ENDINGS or (Path(text).suffix and is_file(text)):
        raise ValueError(
            f'the word {text!r} is a file; {PHOTOS_FIRST}, and words of a file as --vocabulary FILE'
        )
