"""`mmseg-clipsurgery convert`: the masks a data set is evaluated with, from those it is published with.

    convert coco data/coco_stuff164k                  COCO-Stuff 164k and COCO-Object
    convert cityscapes data/cityscapes                train ids
    convert context data/VOCdevkit/VOC2010            PASCAL Context, 59 and 459 classes
    convert ade20k-847 data/ade/ADE20K_2021_17_01     images and masks of ADE20K-847
    convert coco-things data/coco                     masks of COCO 2017's instances
    convert imagenet-s data/imagenet-s/ImageNetS50    masks of ImageNet-S with 50, 300 or 919 classes
    convert nus-wide data/nus_wide                    the list of NUS-WIDE's images and concepts
    convert openimages data/openimages                points and classes of Open Images V7

`datasets.converters` does the work. What is there already is left alone, so a conversion may be interrupted.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..environment.command_line import CommandParser
from ..environment.mistakes import guarded
from .common import path

if TYPE_CHECKING:
    from pathlib import Path

    from ..datasets.converters.jobs import Job


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is missing of a data set; the exit code."""
    arguments = parse(argv)
    return guarded(lambda: arguments.convert(arguments))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; `convert` of what it returns converts a data set."""
    parser = CommandParser(prog='mmseg-clipsurgery convert', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(metavar='DATA_SET', required=True)

    of_coco = add_data_set(commands, 'coco', coco, 'folder with images/ and annotations/')
    of_coco.add_argument('--split', default='val2017', help='folder below images/ and annotations/')
    of_coco.add_argument('--targets', nargs='+', choices=('stuff', 'object'), default=['stuff', 'object'])

    of_cityscapes = add_data_set(commands, 'cityscapes', cityscapes, 'folder with leftImg8bit/ and gtFine/')
    of_cityscapes.add_argument('--split', default='val', help='folder below gtFine/')

    of_context = add_data_set(commands, 'context', context, 'VOC2010, with JPEGImages/ and trainval/*.mat')
    of_context.add_argument(
        '--split', type=path, help='file of names; default: one in VOC2010, see docs/datasets.md'
    )
    of_context.add_argument('--classes', nargs='+', type=int, choices=(59, 459), default=[59, 459])

    of_ade20k = add_data_set(commands, 'ade20k-847', ade20k_847, 'ADE20K_2021_17_01, with images/ADE/')
    of_ade20k.add_argument('--split', default='validation', help='folder below images/ADE/')

    of_things = add_data_set(commands, 'coco-things', coco_things, 'folder with annotations/instances_*.json')
    of_things.add_argument('--split', default='val2017', help='instances_SPLIT.json below annotations/')

    of_imagenet = add_data_set(
        commands, 'imagenet-s', imagenet_s, 'ImageNetS50, ImageNetS300 or ImageNetS919'
    )
    of_imagenet.add_argument('--classes', type=int, choices=(50, 300, 919), help="default: the folder's name")
    of_imagenet.add_argument('--split', default='validation', help='folder beside SPLIT-segmentation/')

    of_nus = add_data_set(commands, 'nus-wide', nus_wide, 'folder with ImageList/, Groundtruth/ and Flickr/')
    of_nus.add_argument('--split', default='Test', choices=('Test', 'Train'))
    of_nus.add_argument('--present', action='store_true', help='leave out images that are not there')

    of_points = add_data_set(commands, 'openimages', openimages, 'folder with oidv7-*.csv')
    of_points.add_argument('--split', default='validation', choices=('validation', 'test'))
    return parser.parse_args(argv)


def add_data_set(
    commands: 'argparse._SubParsersAction[CommandParser]',
    name: str,
    convert: Callable[[argparse.Namespace], None],
    root: str,
) -> argparse.ArgumentParser:
    """The parser of a data set.

    Args:
        commands: of the whole command line.
        name: of the data set.
        convert: what converts it, given the parsed arguments; its docstring is the help.
        root: help of the folder.
    """
    parser = commands.add_parser(name, help=convert.__doc__, description=convert.__doc__)
    parser.add_argument('root', type=path, help=root)
    parser.set_defaults(convert=convert)
    return parser


def coco(arguments: argparse.Namespace) -> None:
    """Masks of COCO-Stuff 164k and COCO-Object from COCO-Stuff's label ids."""
    from ..datasets.converters.coco import coco_jobs

    make_all(coco_jobs(arguments.root, arguments.split, arguments.targets))


def cityscapes(arguments: argparse.Namespace) -> None:
    """Train ids of Cityscapes from its label ids."""
    from ..datasets.converters.cityscapes import cityscapes_jobs

    make_all(cityscapes_jobs(arguments.root, arguments.split))


def context(arguments: argparse.Namespace) -> None:
    """Masks of PASCAL Context (59 classes with background, and all 459) from its MATLAB files, and the split."""
    from ..datasets.converters.context import (
        EVALUATED_SPLIT,
        context_jobs,
        context_split,
        read_split,
        write_evaluated_split,
    )

    names = read_split(arguments.split or context_split(arguments.root))
    make_all(context_jobs(arguments.root, names, arguments.classes))
    if write_evaluated_split(arguments.root, names):
        print(f'{arguments.root / EVALUATED_SPLIT} now lists these {len(names)} images')


def ade20k_847(arguments: argparse.Namespace) -> None:
    """Images and masks of ADE20K-847 from the full ADE20K (ADE20K_2021_17_01)."""
    from ..datasets.converters.ade20k_847 import ade20k_847_jobs

    make_all(ade20k_847_jobs(arguments.root, arguments.split))


def coco_things(arguments: argparse.Namespace) -> None:
    """Masks of COCO 2017's things from its instances."""
    from ..datasets.converters.coco_things import coco_things_jobs

    make_all(coco_things_jobs(arguments.root, arguments.split))


def imagenet_s(arguments: argparse.Namespace) -> None:
    """Masks of ImageNet-S in 16 bits from its colours."""
    from ..datasets.converters.imagenet_s import imagenet_s_jobs

    make_all(imagenet_s_jobs(arguments.root, arguments.classes, arguments.split))


def nus_wide(arguments: argparse.Namespace) -> None:
    """The list of NUS-WIDE's images with their concepts, from a file a concept."""
    from ..datasets.converters.nus_wide import nus_wide_lines

    lines, missing = nus_wide_lines(arguments.root, arguments.split, arguments.present)
    write_lines(arguments.root / f'labels_{arguments.split.lower()}.txt', lines)
    if missing:
        print(f'{missing} images do not exist and are left out: figures are not comparable with others')


def openimages(arguments: argparse.Namespace) -> None:
    """Points of Open Images V7, a line an image, and its classes."""
    from ..datasets.converters.openimages import openimages_points
    from ..environment.files import write_json

    names, lines = openimages_points(arguments.root, arguments.split)
    stem = arguments.root / f'points_{arguments.split}'
    write_json(f'{stem}_classes.json', names)
    write_lines(stem.with_suffix('.jsonl'), lines)
    print(f'{len(names)} classes')


def write_lines(path: 'Path', lines: 'Sequence[str]') -> None:
    """Write a list of images, whole or not at all, and say how many there are."""
    from ..environment.files import atomic_write

    text = ''.join(f'{line}\n' for line in lines)
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding='utf-8'))
    print(f'{path} lists {len(lines)} images')


def make_all(jobs: 'Sequence[Job]') -> None:
    """Make the files of these jobs and say how many."""
    from ..datasets.converters.jobs import run

    made, there = run(jobs, report=lambda line: print(line, flush=True))
    print(f'{made} files made, {there} were there already')
