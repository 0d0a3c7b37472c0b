"""A user's own Python file: imported once, it adds rows to the package's open tables.

    # my_method.py, anywhere                              tools/leaderboard.py --import my_method.py --methods mine
    from mmseg_clipsurgery import SURGERIES, Surgery
    SURGERIES['mine'] = Surgery(6, 'kk')

A table is a dict that `open_table` has made known. A file may add names and change none: the shipped rows are what
published figures are compared with. What a file added is traced to it: a run is repeated once its source has changed.
"""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Any

from .paths import user_path

TABLES: dict[str, MutableMapping[str, Any]] = {}  # kind of row -> table
FIRST_ROWS: dict[str, dict[str, Any]] = {}  # kind of row -> what the table held as it was made known
IMPORTED: dict[Path, str] = {}  # file -> SHA-256 of its source as it was imported
ORIGINS: dict[tuple[str, str], Path] = {}  # (kind of row, name) -> the file that added it


def open_table(kind: str, table: MutableMapping[str, Any]) -> None:
    """Make a table known to which own files may add rows.

    Args:
        kind: what a row is, in the singular, for sentences: 'surgery'.
        table: name -> row.
    """
    TABLES[kind], FIRST_ROWS[kind] = table, dict(table)


def is_shipped(kind: str, name: str) -> bool:
    """Whether a row is the package's own."""
    return name in FIRST_ROWS[kind]


def import_files(paths: Iterable[str | Path]) -> None:
    """`import_file` for each of them, in order.

    A command calls it once what it runs is imported: a file's own imports then find a torchvision that works.
    """
    for path in paths:
        import_file(path)


def import_file(path: str | Path) -> None:
    """Import a user's own Python file; a file that was imported before is left alone.

    Its folder is appended to `sys.path`, so that it may import its neighbours.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no Python file, raises while it is imported, or changes a row that is there already. The
            tables are then as they were before.
    """
    file = Path(os.path.realpath(user_path(path)))
    if not file.is_file():
        raise FileNotFoundError(f'the file {path} to import does not exist')
    if file.suffix != '.py':
        raise ValueError(f'{path} can not be imported: give a Python file whose name ends in .py')
    if file in IMPORTED:
        return
    before, modules = {kind: dict(table) for kind, table in TABLES.items()}, set(sys.modules)
    name = module_name(file)
    try:
        execute(file, name)
        check_rows(path, before)
    except BaseException:
        if name not in modules:
            sys.modules.pop(name, None)
        for kind, table in TABLES.items():
            table.clear()
            table.update(before.get(kind, FIRST_ROWS[kind]))
        raise
    IMPORTED[file] = hashlib.sha256(file.read_bytes()).hexdigest()
    for kind, table in TABLES.items():
        ORIGINS.update(
            {(kind, name): file for name in table if name not in before.get(kind, FIRST_ROWS[kind])}
        )


def execute(file: Path, name: str) -> None:
    """Run a file as a module of this name, unless that is in `sys.modules`: a config's `custom_imports` was first.

    Raises:
        ValueError: it raises; the sentence names the error and the line.
    """
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        said = ' '.join(f'{type(error).__name__}: {text_of(error)}'.split())
        raise ValueError(
            f'{file} raises while it is imported, in line {line_of(error, file)}: {said}'
        ) from error


def text_of(error: BaseException) -> str:
    """What an error of somebody's own class says, if it can."""
    try:
        return str(error)
    except Exception:
        return 'it has no text'


def module_name(file: Path) -> str:
    """The file's stem, so that `import my_method` finds the same module; another name where another module has it."""
    private = f'_imported_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}'
    if not file.stem.isidentifier():
        return private
    try:
        found = importlib.util.find_spec(file.stem)
    except ValueError:  # a module without a spec has the name: __main__
        return private
    free = found is None or (found.origin is not None and Path(found.origin).resolve() == file)
    return file.stem if free else private


def line_of(error: BaseException, file: Path) -> int:
    """The line of a file on which an error arose: the last of its frames, or where its syntax is wrong."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno or 1
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return frames[-1].lineno or 1 if frames else 1


def check_rows(path: str | Path, before: dict[str, dict[str, Any]]) -> None:
    """Refuse a file that changed or removed a row.

    Raises:
        ValueError: names the row.
    """
    for kind, table in TABLES.items():
        for name, row in before.get(kind, FIRST_ROWS[kind]).items():
            if name not in table or table[name] is not row:
                did = 'replaces' if name in table else 'removes'
                raise ValueError(
                    f'{path} {did} the {kind} {name!r}, which is there already: give yours another name'
                )


def digest_of(kind: str, name: str) -> str | None:
    """SHA-256 of the source of the own file that added a row; None for rows that no such file added."""
    file = ORIGINS.get((kind, name))
    return None if file is None else IMPORTED[file]
