"""Who explains best: every method, with and without feature surgery, judged by its similarity maps.

    python tools/explain.py                                     the embedded scenes, and the table of docs/explain.md
    python tools/explain.py --data-set voc --data-root DIR      PASCAL VOC 2012, with the real weights
    python tools/explain.py --import my_method.py --methods mine clip_surgery
    python tools/explain.py --check                             does the table agree with the results?

A run whose result is there is left out; see `leaderboard.explainability`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..environment.extensions import import_files
from ..environment.mistakes import guarded
from ..environment.stack import require_mmseg
from ..protocols.settings import methods_of_any_tower
from .common import add_debug_option, add_import_option


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and write the table; the exit code."""
    parser = argparse.ArgumentParser(prog='explain', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('--data-set', choices=('scenes', 'voc'), default='scenes')
    parser.add_argument('--methods', nargs='+', default=methods_of_any_tower(), metavar='METHOD')
    parser.add_argument('--data-root', help="in place of the config's")
    parser.add_argument('--out', type=Path, default=Path('results/explain'), help='folder of results')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/explain'), help='folder of logs')
    parser.add_argument(
        '--page', type=Path, default=Path('docs/explain.md'), help='text that holds the table'
    )
    parser.add_argument('--check', action='store_true', help='fail if the page differs from the results')
    add_import_option(parser)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    return guarded(lambda: act(arguments), arguments.debug)


def act(arguments: argparse.Namespace) -> None:
    """What the command line asks for.

    Raises:
        ValueError, FileNotFoundError: a user's mistake, or with --check a page that differs.
        ImportError: MMSeg is not installed.
    """
    require_mmseg()
    from ..leaderboard import explainability

    import_files(arguments.imports)
    if not arguments.check:
        explainability.run_suite(
            arguments.methods, arguments.data_set, arguments.out, arguments.work_dir, arguments.data_root
        )
    explainability.write_page(arguments.page, arguments.out, arguments.data_set, arguments.check)
