"""Tables and picture of a folder of results: written, and checked against the results they are made of."""

from pathlib import Path

from ..environment.files import atomic_write
from ..protocols.settings import entries
from ..vocabulary import read_text
from . import charts, tables
from .cells import cell_of, is_done, read_cells, run_config
from .keys import key_of

TABLES = {
    'leaderboard.md': tables.leaderboard_table,
    'scenes.md': tables.scenes_table,
    'figures.csv': tables.csv_table,
}
PICTURE = 'leaderboard.png'


def write_tables(folder: Path, readme: Path | None = None) -> None:
    """Tables and picture of all results of a folder, and the blocks of a README.

    Raises:
        ValueError: a result or the README can't be used.
    """
    found = read_cells(folder)
    for name, make in TABLES.items():
        write_text(folder / name, make(found))
    drawn = tables.panels(found)
    if drawn:
        charts.draw(drawn, folder / PICTURE)
    if readme:
        write_text(readme, tables.with_blocks(read_text(readme), tables.blocks(found)))
    names = (*TABLES, PICTURE) if drawn else TABLES
    print(f'tables: {", ".join(str(folder / name) for name in names)}', flush=True)


def check(folder: Path, readme: Path | None = None) -> None:
    """Whether tables and README say what the results say, and results of the embedded model are of today's settings.

    Results of a method whose file was not imported can't be compared with today's settings; they are named.

    Raises:
        ValueError: one of them does not agree; the sentence has the command that mends it.
    """
    found = read_cells(folder)
    for result in found:
        method, data_set = result['cell']['method'], result['cell']['data_set']
        if data_set not in tables.SCENES:
            continue
        if method not in entries('methods'):
            print(f'not compared with its settings: {method} on {data_set}, without its --import', flush=True)
        elif not is_done(cell_of(result), folder, key_of(run_config(cell_of(result)))):
            raise ValueError(
                f'the result of {cell_of(result)} is of other settings or weights than today: '
                f'python tools/leaderboard.py --data-sets {data_set} --out {folder}'
            )
    expected = {folder / name: make(found) for name, make in TABLES.items()}
    if readme:
        expected[readme] = tables.with_blocks(read_text(readme), tables.blocks(found))
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
