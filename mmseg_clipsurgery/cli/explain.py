"""Who explains best: explainers x data sets, judged by a panel of metrics of their maps.

    python tools/explain.py                                            every explainer on the embedded scenes
    python tools/explain.py --data-sets voc --data-root voc=DIR        PASCAL VOC 2012, with the real weights
    python tools/explain.py --import my_method.py --explainers mine mine:released legrad
    python tools/explain.py --check --page docs/explain.md             do tables and page agree with the results?

A cell whose result is there is left out; the others of a data set share one pass over the images, in which CLIP is read
once for all of them. The figures are those of one run after the other, which --one-by-one makes. A run that fails is
named and the others go on; the exit code is then 1. Results, tables and a picture go to --out. See
`leaderboard.explainability`.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..environment.command_line import CommandParser
from ..environment.extensions import import_files
from ..environment.numbers import check_count
from ..environment.stack import require_mmseg
from ..protocols.settings import surgeries_of_the_embedded_tower
from .common import (
    MOST_PROCESSES,
    add_config_options,
    add_debug_option,
    add_import_option,
    exit_code,
    folder,
    path,
)

# The shipped rows of `EXPLAINERS` that are no surgery's; not imported, since --help must not import torch.
BASELINES = (
    'rclip',
    'attention',
    'rollout',
    'grad_cam',
    'relevance',
    'relevance_all',
    'grad_eclip',
    'grad_eclip_one_head',
    'legrad',
    'legrad_all',
)


def usual_explainers() -> list[str]:
    """Those that fit the embedded tower: surgeries by cosine and by feature surgery, then the others."""
    surgeries = surgeries_of_the_embedded_tower()
    return [*(name + form for name in surgeries for form in ('', ':released')), *BASELINES]


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and write the tables; the exit code."""
    parser = CommandParser(prog='explain', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        '--data-sets',
        nargs='+',
        default=['scenes'],
        metavar='NAME',
        help='of configs/explain, or a config file of your own; default: scenes',
    )
    parser.add_argument(
        '--explainers',
        nargs='+',
        default=usual_explainers(),
        metavar='NAME',
        help=f'or your own; default: {", ".join(usual_explainers())}',
    )
    parser.add_argument('--data-root', nargs='+', default=[], metavar='NAME=DIR', help='folders of data sets')
    parser.add_argument(
        '--out', type=folder, default=Path('results/explain'), help='folder of results and tables'
    )
    parser.add_argument('--work-dir', type=folder, default=Path('work_dirs/explain'), help='folder of logs')
    parser.add_argument('--page', type=path, help='a text whose blocks <!-- table: NAME --> hold tables')
    parser.add_argument('--processes', type=int, default=0, metavar='N', help='0: in this process')
    parser.add_argument('--one-by-one', action='store_true', help='no shared pass')
    parser.add_argument('--tables', action='store_true', help='run nothing, write the tables')
    parser.add_argument('--check', action='store_true', help='fail if tables differ from the results')
    add_config_options(parser)
    add_import_option(parser)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    return exit_code(act, arguments)


def act(arguments: argparse.Namespace) -> Iterator[str]:
    """What the command line asks for; a line for each run that failed.

    Raises:
        ValueError, FileNotFoundError: a user's mistake, or with --check a table that differs.
        ImportError: MMSeg is not installed.
    """
    require_mmseg()
    from ..evaluation.configs import parse_options
    from ..leaderboard import explain_pages, explainability

    import_files(arguments.imports)
    check_count('--processes', arguments.processes, least=0, most=MOST_PROCESSES)
    if arguments.check:
        explain_pages.check(arguments.out, arguments.page)
        return
    if not arguments.tables:
        planned = explainability.plan(
            arguments.explainers,
            arguments.data_sets,
            arguments.data_root,
            parse_options(arguments.cfg_options),
        )
        yield from explainability.run_suite(
            planned,
            arguments.out,
            arguments.work_dir,
            arguments.processes,
            arguments.imports,
            arguments.debug,
            arguments.one_by_one,
        )
    if arguments.tables or explain_pages.is_filled(arguments.out):
        explain_pages.write_tables(arguments.out, arguments.page)
