"""`mmseg-clipsurgery convert`: the masks a data set is evaluated with, from those it is published with.

    convert coco data/coco_stuff164k                  COCO-Stuff 164k and COCO-Object
    convert cityscapes data/cityscapes                train ids
    convert context data/VOCdevkit/VOC2010            PASCAL Context, 59 and 459 classes
    convert ade20k-847 data/ade/ADE20K_2021_17_01     images and masks of ADE20K-847

`datasets.converters` does the work. What is there already is left alone, so a conversion may be interrupted.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..environment.mistakes import guarded

if TYPE_CHECKING:
    from ..datasets.converters import Job

CONTEXT_SPLITS = ('ImageSets/SegmentationContext/val.txt', 'pascalcontext_val.txt', 'ImageSets/Main/val.txt')


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is missing of a data set; the exit code."""
    arguments = parse(argv)

    def action() -> None:
        from ..datasets.converters import run

        made, there = run(arguments.jobs(arguments), report=lambda line: print(line, flush=True))
        print(f'{made} files made, {there} were there already')

    return guarded(action)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; `jobs` of what it returns says which files are to be made."""
    parser = argparse.ArgumentParser(prog='mmseg-clipsurgery convert', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(metavar='DATA_SET', required=True)

    coco = add_data_set(commands, 'coco', coco_jobs, 'folder with images/ and annotations/')
    coco.add_argument('--split', default='val2017', help='folder below images/ and annotations/')
    coco.add_argument('--targets', nargs='+', choices=('stuff', 'object'), default=['stuff', 'object'])

    cityscapes = add_data_set(commands, 'cityscapes', cityscapes_jobs, 'folder with leftImg8bit/ and gtFine/')
    cityscapes.add_argument('--split', default='val', help='folder below gtFine/')

    context = add_data_set(commands, 'context', context_jobs, 'VOC2010, with JPEGImages/ and trainval/*.mat')
    context.add_argument('--split', type=Path, help=f'file of names; default: the first of {CONTEXT_SPLITS}')
    context.add_argument('--classes', nargs='+', type=int, choices=(59, 459), default=[59, 459])

    ade20k = add_data_set(commands, 'ade20k-847', ade20k_847_jobs, 'ADE20K_2021_17_01, with images/ADE/')
    ade20k.add_argument('--split', default='validation', help='folder below images/ADE/')
    return parser.parse_args(argv)


def add_data_set(
    commands: 'argparse._SubParsersAction[argparse.ArgumentParser]',
    name: str,
    jobs: 'Callable[[argparse.Namespace], list[Job]]',
    root: str,
) -> argparse.ArgumentParser:
    """The parser of one data set: its folder, and what says which files are to be made."""
    parser = commands.add_parser(name, help=jobs.__doc__, description=jobs.__doc__)
    parser.add_argument('root', type=Path, help=root)
    parser.set_defaults(jobs=jobs)
    return parser


def coco_jobs(arguments: argparse.Namespace) -> 'list[Job]':
    """Masks of COCO-Stuff 164k and COCO-Object from COCO-Stuff's label ids."""
    from ..datasets import converters

    return converters.coco_jobs(arguments.root, arguments.split, arguments.targets)


def cityscapes_jobs(arguments: argparse.Namespace) -> 'list[Job]':
    """Train ids of Cityscapes from its label ids."""
    from ..datasets import converters

    return converters.cityscapes_jobs(arguments.root, arguments.split)


def context_jobs(arguments: argparse.Namespace) -> 'list[Job]':
    """Masks of PASCAL Context (59 classes with background, and all 459) from its MATLAB files."""
    from ..datasets import converters

    split = arguments.split or context_split(arguments.root)
    evaluated = arguments.root / CONTEXT_SPLITS[0]
    if not evaluated.is_file():
        evaluated.parent.mkdir(parents=True, exist_ok=True)
        evaluated.write_text(split.read_text(encoding='utf-8'), encoding='utf-8')
    return converters.context_jobs(arguments.root, split, arguments.classes)


def ade20k_847_jobs(arguments: argparse.Namespace) -> 'list[Job]':
    """Images and masks of ADE20K-847 from the full ADE20K (ADE20K_2021_17_01)."""
    from ..datasets import converters

    return converters.ade20k_847_jobs(arguments.root, arguments.split)


def context_split(root: Path) -> Path:
    """The list of PASCAL Context's validation images: MMSeg's, CAT-Seg's, or VOC 2010's own (one image more).

    Raises:
        FileNotFoundError: there is none.
    """
    for name in CONTEXT_SPLITS:
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(
        f'{root} has none of {", ".join(CONTEXT_SPLITS)}: give VOC2010, or a file of names with --split'
    )
