"""Tables and picture of a folder of results of explainers: written, and checked against those results."""

from pathlib import Path
from typing import Any

from ..environment.files import decoding, read_json
from ..vocabulary import read_text
from . import charts
from .explain_tables import Results, blocks, costs_and_figures, csv_table, panel_table, rank
from .keys import refuse_earlier_scenes
from .pages import write_text
from .tables import with_blocks


def write_tables(folder: Path, page: Path | None = None) -> None:
    """Tables and picture of all results of a folder, and the blocks of a page.

    Raises:
        ValueError: a result or the page can't be used.
    """
    found = read_results(folder)
    for path, text in texts(found, folder, page).items():
        write_text(path, text)
    charts.draw_costs(costs_and_figures(found), folder / 'cost.png')
    print(f'{len(found)} results; tables: {", ".join(map(str, texts(found, folder, page)))}', flush=True)


def check(folder: Path, page: Path | None = None) -> None:
    """Whether tables and page say what the results say.

    Raises:
        ValueError: one of them does not; the sentence has the command that mends it.
    """
    found = read_results(folder)
    for path, text in texts(found, folder, page).items():
        if not path.is_file() or path.read_text(encoding='utf-8') != text:
            mend = f'python tools/explain.py --tables --out {folder}' + (f' --page {page}' if page else '')
            raise ValueError(f'{path} is not what the results in {folder} say: {mend}')
    print(f'{len(found)} results and their texts agree', flush=True)


def texts(results: Results, folder: Path, page: Path | None) -> dict[Path, str]:
    """What files hold that are made of results."""
    made = blocks(results)
    found = {
        folder / 'tables.md': '\n'.join(f'## {name}\n\n{table}' for name, table in made.items()),
        folder / 'figures.csv': csv_table(results),
    }
    if page:
        found[page] = with_blocks(read_text(page), made)
    return found


def is_filled(folder: Path) -> bool:
    """Whether a folder holds a result."""
    return any(folder.glob('*/*.json'))


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Every result below a folder, data set by data set, each with the highest leading figure first.

    Raises:
        ValueError: there is none, or a file is none.
    """
    found = [read_result(path) for path in sorted(folder.glob('*/*.json'))]
    if not found:
        raise ValueError(f'{folder} holds no result of an explainer: run python tools/explain.py')
    return sorted(found, key=lambda result: (result['run']['data_set'], *rank(result)))


def read_result(path: Path) -> dict[str, Any]:
    """A kept result. Raises ValueError for a file that is none, or of scenes that are no longer drawn."""
    result = read_json(path)
    with decoding(path, 'result of an explainer', 'remove it, and it is run again'):
        assert {'explainer', 'data_set'} <= result['run'].keys(), 'it names no explainer'
        rank(result)
        panel_table([result])
    refuse_earlier_scenes(path, result['run'])
    return result
