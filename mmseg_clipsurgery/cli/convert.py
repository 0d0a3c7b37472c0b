"""The commands `tools/convert_*.py`, which make the masks a data set is evaluated with; `converters` does the work."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from ..datasets.converters import Job, ade20k_847_jobs, cityscapes_jobs, coco_jobs, context_jobs, run
from ..environment.mistakes import guarded

CONTEXT_SPLITS = ('ImageSets/SegmentationContext/val.txt', 'pascalcontext_val.txt', 'ImageSets/Main/val.txt')


def coco(argv: Sequence[str] | None = None) -> int:
    """Masks of COCO-Stuff 164k and COCO-Object from COCO-Stuff's label ids."""
    parser = command('convert_coco', coco.__doc__, 'folder with images/ and annotations/')
    parser.add_argument('--split', default='val2017', help='folder below images/ and annotations/')
    parser.add_argument('--targets', nargs='+', choices=('stuff', 'object'), default=['stuff', 'object'])
    arguments = parser.parse_args(argv)
    return convert(lambda: coco_jobs(arguments.root, arguments.split, arguments.targets))


def cityscapes(argv: Sequence[str] | None = None) -> int:
    """Train ids of Cityscapes from its label ids."""
    parser = command('convert_cityscapes', cityscapes.__doc__, 'folder with leftImg8bit/ and gtFine/')
    parser.add_argument('--split', default='val', help='folder below gtFine/')
    arguments = parser.parse_args(argv)
    return convert(lambda: cityscapes_jobs(arguments.root, arguments.split))


def context(argv: Sequence[str] | None = None) -> int:
    """Masks of PASCAL Context (59 classes with background, and all 459) from its MATLAB files."""
    parser = command('convert_context', context.__doc__, 'VOC2010, with JPEGImages/ and trainval/*.mat')
    parser.add_argument('--split', type=Path, help=f'file of names; default: the first of {CONTEXT_SPLITS}')
    parser.add_argument('--classes', nargs='+', type=int, choices=(59, 459), default=[59, 459])
    arguments = parser.parse_args(argv)

    def jobs() -> list[Job]:
        split = arguments.split or context_split(arguments.root)
        evaluated = arguments.root / CONTEXT_SPLITS[0]
        if not evaluated.is_file():
            evaluated.parent.mkdir(parents=True, exist_ok=True)
            evaluated.write_text(split.read_text(encoding='utf-8'), encoding='utf-8')
        return context_jobs(arguments.root, split, arguments.classes)

    return convert(jobs)


def ade20k_847(argv: Sequence[str] | None = None) -> int:
    """Images and masks of ADE20K-847 from the full ADE20K (ADE20K_2021_17_01)."""
    parser = command('convert_ade20k_847', ade20k_847.__doc__, 'ADE20K_2021_17_01, with images/ADE/')
    parser.add_argument('--split', default='validation', help='folder below images/ADE/')
    arguments = parser.parse_args(argv)
    return convert(lambda: ade20k_847_jobs(arguments.root, arguments.split))


def command(name: str, description: str | None, root: str) -> argparse.ArgumentParser:
    """The arguments that all of them have."""
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument('root', type=Path, help=root)
    return parser


def convert(jobs: Callable[[], list[Job]]) -> int:
    """Find out what is to be made and make it; the exit code."""

    def action() -> None:
        made, there = run(jobs(), report=lambda line: print(line, flush=True))
        print(f'{made} files made, {there} were there already')

    return guarded(action)


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
