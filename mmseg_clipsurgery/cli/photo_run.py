"""A task on photos as a command: parse first, then import and run.

Exit codes: 0 all is answered; 1 a mistake, told in one sentence; 2 options that argparse refuses; 3 some photos could
not be answered; 130 stopped by the user.
"""

import io
import sys
from collections.abc import Sequence

from ..environment.command_line import CommandParser
from ..environment.extensions import import_files
from ..environment.mistakes import guarded
from .options import INNER_NAMES, add_common, check_photos
from .task import Task

UNANSWERED = 3


def run(task: Task, arguments: Sequence[str]) -> int:
    """A command with its arguments; the exit code."""
    parser = CommandParser(prog=f'mmseg-clipsurgery {task.name}', description=task.about)
    add_common(parser)
    parser.inner_names |= INNER_NAMES
    task.add_options(parser.add_argument_group(task.name))
    parsed = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')  # names of files may be no UTF-8
    failures: list[object] = []

    def action() -> None:
        check_photos(parsed, parser)  # before torch is imported
        from .photo_process import process_photos

        import_files(parsed.imports)
        with parser.naming_options():
            failures.extend(process_photos(task, parsed).failures)

    code = guarded(action, parsed.debug, stopped='stopped; the same command goes on from here')
    return code or (UNANSWERED if failures else 0)
