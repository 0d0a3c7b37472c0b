"""Who explains best: every method, with and without feature surgery, and other explainers, judged by their maps.

    python tools/explain.py                                     the embedded scenes, and the table of docs/explain.md
    python tools/explain.py --data-set voc --data-root DIR      PASCAL VOC 2012, with the real weights
    python tools/explain.py --import my_method.py --methods mine clip_surgery --explainers legrad
    python tools/explain.py --check                             does the table agree with the results?

A run whose result is there is left out; the others share one pass over the images, in which CLIP is read once for all
of them. The figures are those of one run after the other, which --one-by-one makes. A run that fails is named and the
others go on; the exit code is then 1. See `leaderboard.explainability`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..environment.extensions import import_files
from ..environment.mistakes import guarded
from ..environment.stack import require_mmseg
from ..protocols.settings import methods_of_any_tower
from .common import add_debug_option, add_import_option, folder, path

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and write the table; the exit code."""
    parser = argparse.ArgumentParser(prog='explain', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('--data-set', choices=('scenes', 'voc'), default='scenes')
    parser.add_argument('--methods', nargs='+', default=methods_of_any_tower(), metavar='METHOD')
    parser.add_argument(
        '--explainers',
        nargs='*',
        default=list(BASELINES),
        metavar='NAME',
        help=f'other explainers (default: {", ".join(BASELINES)})',
    )
    parser.add_argument('--data-root', type=path, help="in place of the config's")
    parser.add_argument('--out', type=folder, default=Path('results/explain'), help='folder of results')
    parser.add_argument('--work-dir', type=folder, default=Path('work_dirs/explain'), help='folder of logs')
    parser.add_argument(
        '--page', type=path, default=Path('docs/explain.md'), help='text that holds the table'
    )
    parser.add_argument('--check', action='store_true', help='fail if the page differs from the results')
    parser.add_argument('--one-by-one', action='store_true', help='no shared pass')
    add_import_option(parser)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    failed: list[str] = []
    code = guarded(lambda: failed.extend(act(arguments)), arguments.debug)
    for line in failed:
        print(f'failed: {line}', file=sys.stderr, flush=True)
    return code or int(bool(failed))


def act(arguments: argparse.Namespace) -> list[str]:
    """What the command line asks for; a line for each run that failed.

    Raises:
        ValueError, FileNotFoundError: a user's mistake, or with --check a page that differs.
        ImportError: MMSeg is not installed.
    """
    require_mmseg()
    from ..leaderboard import explainability

    import_files(arguments.imports)
    failed: list[str] = []
    if not arguments.check:
        failed = explainability.run_suite(
            arguments.methods,
            arguments.data_set,
            arguments.out,
            arguments.work_dir,
            arguments.data_root,
            arguments.one_by_one,
            arguments.debug,
            arguments.explainers,
        )
    explainability.write_page(arguments.page, arguments.out, arguments.data_set, arguments.check)
    return failed
