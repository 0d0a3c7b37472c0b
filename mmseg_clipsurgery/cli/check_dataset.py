"""`mmseg-clipsurgery check-dataset`: is a data set what its config expects? No weights are needed.

Counts, pairs, label ranges and encodings, sizes and readability are looked at (`evaluation.audit`).
"""

import argparse
import sys
from collections.abc import Sequence

from ..environment.command_line import CommandParser
from ..environment.extensions import import_files
from ..environment.mistakes import guarded, sentence
from ..environment.stack import require_mmseg
from .common import add_debug_option, add_import_option, path


def main(argv: Sequence[str] | None = None) -> int:
    """Check the data set of each config; the exit code, 0 where all of them are right."""
    parser = CommandParser(
        prog='mmseg-clipsurgery check-dataset', description='Check a data set before a run.'
    )
    parser.add_argument(
        'configs',
        nargs='+',
        metavar='CONFIG',
        help='a config file or the name of a shipped one, with or without clipsurgery_',
    )
    parser.add_argument(
        '--data-root', type=path, help='folder of the data set, in place of the one in the config'
    )
    parser.add_argument('--subset', action='store_true', help='allow another number of images than published')
    add_import_option(parser)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    right: list[bool] = []
    code = guarded(lambda: right.append(check_all(arguments)), arguments.debug)
    return code or int(not all(right))


def prepare(arguments: argparse.Namespace) -> None:
    """Import what the check needs, and the user's own files.

    Raises:
        ImportError, ValueError, FileNotFoundError: MMSeg is not installed, or a file can't be imported.
    """
    require_mmseg()
    from ..evaluation import audit  # noqa: F401 - before own files, which may import MMSeg

    import_files(arguments.imports)


def check_all(arguments: argparse.Namespace) -> bool:
    """Print a line for each config; whether all data sets are right. Raises as `prepare`."""
    prepare(arguments)
    from ..evaluation.audit import audit, config_of

    right = True
    for name in arguments.configs:
        try:
            print(f'{name}: {audit(config_of(name), arguments.data_root, arguments.subset)}', flush=True)
        except (ValueError, FileNotFoundError) as error:
            if arguments.debug:
                raise
            print(f'{name}: {sentence(error)}', file=sys.stderr, flush=True)
            right = False
    return right
