"""The leaderboard: every method on every data set by its protocol, and tables of the figures beside the published ones.

    python tools/leaderboard.py                                          seven methods on the eight public data sets
    python tools/leaderboard.py --methods clip naclip:naclip_plain --data-sets voc21 --data-root voc21=/data/VOC2012
    python tools/leaderboard.py --data-sets scenes scenes_heldout        the embedded benchmark, without a download
    python tools/leaderboard.py --tables --readme README.md              tables alone, from the results that are there
    python tools/leaderboard.py --check --readme README.md               do tables and results agree?

Each cell of the grid is a run of the test tool. Its result is kept in `--out` as soon as it is there, so that a start
after an interruption goes on at the first cell that is missing. A cell that fails is named and the others go on; the
exit code is then 1. Text is embedded once for each vocabulary: the embeddings are cached on disk.

Cells run in this process; with --processes N each runs in N processes of its own, started by torchrun.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction

from ..environment.files import atomic_write
from ..environment.mistakes import guarded, sentence
from ..leaderboard import cells as grid
from ..leaderboard import charts as bars
from ..leaderboard import tables
from ..protocols.settings import entry, table
from . import cell_run

TABLES = {
    'leaderboard.md': tables.leaderboard_table,
    'scenes.md': tables.scenes_table,
    'figures.csv': tables.csv_table,
}
PICTURE = 'leaderboard.png'


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing of a grid and write the tables; the exit code."""
    arguments = parse(argv)
    failed: list[str] = []

    def action() -> None:
        if arguments.check:
            check(arguments.out, arguments.readme)
            return
        if not arguments.tables:
            failed.extend(run_grid(arguments))
        write_tables(arguments.out, arguments.readme)

    code = guarded(action, arguments.debug)
    for line in failed:
        print(f'failed: {line}', file=sys.stderr, flush=True)
    return code or int(bool(failed))


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog='leaderboard', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = ', '.join(table()['data_sets'])
    parser.add_argument('--methods', nargs='+', default=list(table()['methods']), metavar='METHOD[:PROTOCOL]')
    parser.add_argument(
        '--data-sets', nargs='+', default=tables.published_data_sets(), metavar='NAME', help=f'of {names}'
    )
    parser.add_argument(
        '--backbones',
        nargs='+',
        default=[''],
        metavar='ARCH:PRETRAINED',
        help='default: that of the shipped configs',
    )
    parser.add_argument('--out', type=Path, default=Path('results'), help='folder of results and tables')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/leaderboard'), help='folder of logs')
    parser.add_argument('--data-root', nargs='+', default=[], metavar='NAME=DIR', help='folders of data sets')
    parser.add_argument('--processes', type=int, default=0, metavar='N', help='0: in this process')
    parser.add_argument('--again', action='store_true', help='run cells whose results are there, too')
    parser.add_argument('--tables', action='store_true', help='run nothing, write the tables')
    parser.add_argument(
        '--check', action='store_true', help='fail if tables differ from the results they are made of'
    )
    parser.add_argument('--readme', type=Path, help='a text whose blocks <!-- table: NAME --> hold tables')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)


def run_grid(arguments: argparse.Namespace) -> list[str]:
    """Run the cells that have no result yet; a line for each that failed."""
    roots = data_roots(arguments.data_root)
    planned = grid.cells(arguments.methods, arguments.data_sets, arguments.backbones)
    configs = [grid.run_config(cell, arguments.cfg_options, roots.get(cell.data_set)) for cell in planned]
    keys = [grid.settings_key(cfg) for cfg in configs]
    failed, checked = [], set()  # of a data set that was run on, files need not be looked at again
    for number, (cell, cfg, key) in enumerate(zip(planned, configs, keys, strict=True), start=1):
        heading = f'[{number}/{len(planned)}] {cell}'
        if not arguments.again and grid.is_done(cell, arguments.out, key):
            print(f'{heading}: there already', flush=True)
            continue
        print(f'{heading}: {entry("protocols", cell.protocol)["title"]}', flush=True)
        start = time.perf_counter()
        try:
            results = cell_run.run(
                cfg,
                arguments.work_dir / cell.data_set / cell.name,
                arguments.processes,
                cell.data_set not in checked,
            )
        except Exception as error:  # whatever it is, the other cells can still be run
            if arguments.debug:
                raise
            failed.append(f'{cell}: {sentence(error) or type(error).__name__}')
            print(f'{heading}: failed', file=sys.stderr, flush=True)
            continue
        checked.add(cell.data_set)
        grid.keep(cell, arguments.out, key, results)
        seconds = time.perf_counter() - start
        print(f'{heading}: mIoU {results["metrics"]["mIoU"]:.2f} ({seconds:.0f} s)', flush=True)
    return failed


def data_roots(given: Sequence[str]) -> dict[str, str]:
    """Data set -> folder, from NAME=DIR.

    Raises:
        ValueError: not of that form, or an unknown data set.
    """
    roots = {}
    for one in given:
        name, sign, folder = one.partition('=')
        if not sign:
            raise ValueError(f'got --data-root {one!r}; write NAME=DIR, such as voc21=data/VOCdevkit/VOC2012')
        entry('data_sets', name)
        roots[name] = folder
    return roots


def write_tables(folder: Path, readme: Path | None = None) -> None:
    """Tables and picture of all results of a folder, and the blocks of a README.

    Raises:
        ValueError: a result or the README can't be used.
    """
    found = grid.read_cells(folder)
    for name, make in TABLES.items():
        write_text(folder / name, make(found))
    bars.draw(tables.panels(found), folder / PICTURE)
    if readme:
        write_text(readme, tables.with_blocks(readme.read_text(encoding='utf-8'), tables.blocks(found)))
    print(f'tables: {", ".join(str(folder / name) for name in (*TABLES, PICTURE))}', flush=True)


def check(folder: Path, readme: Path | None = None) -> None:
    """Whether tables and README say what the results say, and results of the embedded model are of today's settings.

    Raises:
        ValueError: one of them does not; the sentence has the command that mends it.
    """
    found = grid.read_cells(folder)
    for result in found:
        cell = grid.cell_of(result)
        if cell.data_set in tables.SCENES and not grid.is_done(
            cell, folder, grid.settings_key(grid.run_config(cell))
        ):
            raise ValueError(
                f'the result of {cell} is of other settings or weights than today: python tools/leaderboard.py '
                f'--data-sets {cell.data_set} --out {folder}'
            )
    expected = {folder / name: make(found) for name, make in TABLES.items()}
    if readme:
        expected[readme] = tables.with_blocks(readme.read_text(encoding='utf-8'), tables.blocks(found))
    for path, text in expected.items():
        if not path.is_file() or path.read_text(encoding='utf-8') != text:
            mend = f'python tools/leaderboard.py --tables --out {folder}' + (
                f' --readme {readme}' if readme else ''
            )
            raise ValueError(f'{path} is not what the results in {folder} say: {mend}')
    print(f'{len(found)} results and {len(expected)} texts agree', flush=True)


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding='utf-8'))
