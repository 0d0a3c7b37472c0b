"""Options of several commands: changes of the config, own files, tracebacks; and how those that go on end."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ..environment.mistakes import guarded
from ..environment.paths import folder_to_write, user_path

MOST_PROCESSES = 256  # of one machine


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """`--cfg-options KEY=VALUE ...`: `arguments.cfg_options`, to be given to `configs.parse_options`."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='change the config',
    )


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """`--import FILE`, as often as wanted: `arguments.imports`, to be given to `extensions.import_files`."""
    parser.add_argument(
        '--import',
        dest='imports',
        action='append',
        default=[],
        metavar='FILE',
        help='a Python file of your own that adds surgeries, explainers, data sets, ...; may be repeated',
    )


def add_debug_option(parser: argparse.ArgumentParser) -> None:
    """`--debug`, for `mistakes.guarded`."""
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')


def add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    """`--overwrite`, for `check_is_new`."""
    parser.add_argument('--overwrite', action='store_true', help='replace the file where it is there already')


def check_is_new(path: Path, overwrite: bool) -> None:
    """Refuse to write over a file that nobody said may go. Raises ValueError."""
    if path.is_file() and not overwrite:
        raise ValueError(f'{path} is there already; name another file, or give --overwrite to replace it')


def exit_code(act: Callable[[argparse.Namespace], Iterable[str]], arguments: argparse.Namespace) -> int:
    """Run a command that goes on where a part of it fails.

    Args:
        act: what does it; yields lines that name what failed, which are told whatever comes after them.
        arguments: given to it; `debug` among them.

    Returns:
        0, or 1 where something failed, which is printed to stderr; as `mistakes.guarded` where `act` raised.
    """
    failed: list[str] = []

    def action() -> None:
        for line in act(arguments):
            failed.append(line)

    code = guarded(action, arguments.debug)
    for line in failed:
        print(f'failed: {line}', file=sys.stderr, flush=True)
    return code or int(bool(failed))


def path(text: str) -> Path:
    """The `type` of an option that is a path. Raises argparse's error with the sentence of `user_path`."""
    try:
        return user_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def folder(text: str) -> Path:
    """The `type` of an option that is a folder to write into, as `path`."""
    try:
        return folder_to_write(text, 'the folder')
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
