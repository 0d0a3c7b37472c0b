"""The leaderboard: every method on every data set by its protocol, and tables of the figures beside the published ones.

    python tools/leaderboard.py                                          all methods on the ten public data sets
    python tools/leaderboard.py --methods clip naclip:naclip_plain --data-sets voc21 --data-root voc21=/data/VOC2012
    python tools/leaderboard.py --data-sets scenes scenes_heldout        the embedded benchmark, without a download
    python tools/leaderboard.py --import my_method.py --methods mine clip_surgery --data-sets scenes ./my_data.py
    python tools/leaderboard.py --tables --readme README.md              tables alone, from the results that are there
    python tools/leaderboard.py --check --readme README.md               do tables and results agree?

Each cell of the grid is an evaluation. Cells of a data set that see the same pixels, windows and words share one pass
over its images, in which CLIP is read once for all of them; the figures are those of one run after the other, which
--one-by-one makes. Results are kept in `--out` at the end of each pass, so that a start after an interruption goes on
at the cells that are missing. A cell that fails is named and the others go on; the exit code is then 1. A figure is
set beside the published one of its method and protocol; one of other images than its data set has is marked.

Passes run in this process; with --processes N each runs in N processes of its own, started by torchrun.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..environment.command_line import CommandParser
from ..environment.extensions import import_files
from ..environment.numbers import check_count
from ..environment.stack import require_mmseg
from ..leaderboard.published import published_data_sets
from ..protocols.settings import table
from .common import (
    MOST_PROCESSES,
    add_config_options,
    add_debug_option,
    add_import_option,
    exit_code,
    folder,
    path,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing of a grid and write the tables; the exit code."""
    arguments = parse(argv)
    return exit_code(act, arguments)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandParser(prog='leaderboard', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = ', '.join(table()['data_sets'])
    parser.add_argument(
        '--methods',
        nargs='+',
        default=[],
        metavar='METHOD[:PROTOCOL]',
        help=f'of {", ".join(table()["methods"])}, or your own; default: all, on the embedded model those that '
        'need no second tower',
    )
    parser.add_argument(
        '--data-sets',
        nargs='+',
        default=published_data_sets(),
        metavar='NAME',
        help=f'of {names}; or the config file of a data set of your own',
    )
    parser.add_argument(
        '--backbones',
        nargs='+',
        default=[''],
        metavar='ARCH:PRETRAINED',
        help='default: that of the shipped configs',
    )
    parser.add_argument('--out', type=folder, default=Path('results'), help='folder of results and tables')
    parser.add_argument(
        '--work-dir', type=folder, default=Path('work_dirs/leaderboard'), help='folder of logs'
    )
    parser.add_argument('--data-root', nargs='+', default=[], metavar='NAME=DIR', help='folders of data sets')
    parser.add_argument('--processes', type=int, default=0, metavar='N', help='0: in this process')
    parser.add_argument('--one-by-one', action='store_true', help='a run for each cell, no shared passes')
    parser.add_argument('--again', action='store_true', help='run cells whose results are there, too')
    parser.add_argument('--tables', action='store_true', help='run nothing, write the tables')
    parser.add_argument(
        '--check', action='store_true', help='fail if tables differ from the results they are made of'
    )
    parser.add_argument('--readme', type=path, help='a text whose blocks <!-- table: NAME --> hold tables')
    add_config_options(parser)
    add_import_option(parser)
    add_debug_option(parser)
    return parser.parse_args(argv)


def act(arguments: argparse.Namespace) -> Iterator[str]:
    """What the command line asks for; a line for each cell that failed.

    Raises:
        ValueError, FileNotFoundError: a user's mistake, or with --check a table that differs.
        ImportError: MMSeg is not installed.
    """
    require_mmseg()
    from ..evaluation.configs import parse_options
    from ..leaderboard import pages, suites

    import_files(arguments.imports)
    check_count('--processes', arguments.processes, least=0, most=MOST_PROCESSES)
    if arguments.check:
        pages.check(arguments.out, arguments.readme)
        return
    if not arguments.tables:
        planned = suites.plan(
            arguments.methods,
            arguments.data_sets,
            arguments.backbones,
            parse_options(arguments.cfg_options),
            arguments.data_root,
        )
        yield from suites.run_suite(
            planned,
            arguments.out,
            arguments.work_dir,
            arguments.processes,
            arguments.again,
            arguments.imports,
            arguments.debug,
            arguments.one_by_one,
        )
    pages.write_tables(arguments.out, arguments.readme)
