"""Results of the tests of faithfulness as Markdown, a table a test; figures in percent but for correlations.

Behind a figure whose noise matters stands the standard error of its mean over images.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..environment.files import atomic_write
from ..vocabulary import read_text
from .tables import markdown, with_blocks


class Column(NamedTuple):
    """A column: its head, the figure's key, what it is multiplied by, its digits, and whether its error is shown."""

    head: str
    figure: str
    scale: float = 100
    digits: int = 1
    error: bool = False


def correlation(head: str, figure: str) -> Column:
    """The column of a rank correlation."""
    return Column(head, figure, 1, 2)


COLUMNS = {
    'deletion': (
        Column('deletion', 'mean cosine deletion'),
        Column('insertion', 'mean cosine insertion'),
        Column('difference', 'mean cosine difference', error=True),
        Column('by blur', 'blur cosine difference', error=True),
        Column('probability', 'mean probability difference', error=True),
        Column('by blur', 'blur probability difference', error=True),
    ),
    'prompts': (
        Column('AP', 'AP'),
        correlation('rho present', 'present rho'),
        Column('drop', 'present drop', error=True),
        correlation('rho absent', 'absent rho'),
        Column('drop', 'absent drop', error=True),
        correlation('rho gibberish', 'gibberish rho'),
        Column('drop', 'gibberish drop', error=True),
    ),
    'mosaic': (Column('energy', 'energy', error=True), Column('pointing', 'pointing', error=True)),
}


def tables_of(result: Mapping[str, Any]) -> dict[str, str]:
    """Test -> its table, for the tests that a result has."""
    tests = dict.fromkeys(test for row in result['explainers'].values() for test in row['tests'])
    return {test: table(result, test) for test in tests}


def table(result: Mapping[str, Any], test: str) -> str:
    """One test's table: explainers in the order in which they were run, the floors first."""
    rows = {name: row for name, row in result['explainers'].items() if test in row['tests']}
    columns = COLUMNS[test] if test in COLUMNS else stage_columns(rows, test)
    lines = [
        [row['title'], *(cell(row['tests'][test].get(column.figure), column) for column in columns)]
        for row in rows.values()
    ]
    return markdown(['explainer'], [column.head for column in columns], lines)


def stage_columns(rows: Mapping[str, Any], test: str) -> list[Column]:
    """Columns of random weights: rho of every stage; of the cascade the last stage's floor and SSIM too."""
    figures = next(iter(rows.values()))['tests'][test]
    stages = [figure.removesuffix(' rho') for figure in figures if figure.endswith(' rho')]
    columns = [correlation(stage, f'{stage} rho') for stage in stages]
    last = stages[-1]
    if f'{last} floor' not in figures:
        return columns
    return [*columns, correlation('floor', f'{last} floor'), correlation('SSIM', f'{last} SSIM')]


def cell(summary: Mapping[str, Any] | None, column: Column) -> str:
    """A figure as text; empty where there is none."""
    if summary is None:
        return ''
    text = f'{column.scale * summary["mean"]:.{column.digits}f}'
    if not column.error or summary['error'] is None:
        return text
    return f'{text} ± {column.scale * summary["error"]:.{column.digits}f}'


def write_page(page: Path, tables: Mapping[str, str], check: bool = False) -> None:
    """Put tables into a text.

    Args:
        page: the text, with blocks named after tests.
        tables: of `tables_of`.
        check: write nothing.

    Raises:
        ValueError: the text has no such block, or with `check` it differs from the results.
    """
    text = read_text(page)
    wanted = with_blocks(text, tables)
    if check and text != wanted:
        raise ValueError(
            f'{page} is not what the results say: run python tools/faithfulness.py --page {page}'
        )
    if not check:
        atomic_write(page, lambda temporary: temporary.write_text(wanted, encoding='utf-8'))


def write_tables(path: Path, result: Mapping[str, Any], tables: Mapping[str, str]) -> None:
    """Write all tables of a result as a page of their own."""
    run = result['run']
    title = f'# {run["config"]}: {result["subjects"]} images, seed {run["seed"]}, {run["steps"]} steps\n'
    text = '\n'.join([title, *(f'## {test}\n\n{content}' for test, content in tables.items())])
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding='utf-8'))
