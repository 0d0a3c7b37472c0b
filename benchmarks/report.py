"""docs/performance.md from what was measured: its blocks and its plot; the rest of the page is written by hand.

<!-- table: image -->      the rows of a section, and its facts
<!-- table: targets -->    `targets.json` against the figures; likewise `setting`, `sections`, `cuda`
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg_clipsurgery.leaderboard.tables import markdown, with_blocks

import matplotlib
from matplotlib.figure import Figure

from . import SECTIONS

ROOT = Path(__file__).resolve().parents[1]
PAGE, PLOT = ROOT / 'docs' / 'performance.md', 'performance_scaling.svg'
ON_GPU = ROOT / 'results' / 'performance_cuda.json'
TARGETS = Path(__file__).with_name('targets.json')
PACKAGES = ('python', 'torch', 'open_clip', 'mmseg', 'mmengine')
# Of the plot: section, columns, what is across and what is up.
PANELS = (
    ('tokens', ('to labels', "open_clip's own forward"), 'pixels a side', 'processor seconds'),
    ('classes', ('photo', 'white noise'), 'classes', 'processor seconds'),
    ('memory', ('to labels', 'two full fp32 buffers (on paper)'), 'classes', 'MiB'),
    ('templates', ('seconds',), 'templates', 'processor seconds'),
    ('batches', ('seconds',), 'images in a batch', 'processor seconds an image'),
    ('processes', ('to one process', 'scaling limit'), 'processes', 'images a second, to one process'),
)
Found = Mapping[str, Any]


def write(measured: Found, page: Path = PAGE) -> None:
    """Fill the page, and draw its plot beside it."""
    page.write_text(filled(page.read_text(), measured))
    draw(measured['sections'], page.with_name(PLOT))


def filled(page: str, measured: Found) -> str:
    """The page with its blocks filled."""
    gpu = 'Not measured: no machine with a GPU was at hand.\n'
    if ON_GPU.is_file():
        found = blocks(json.loads(ON_GPU.read_text()))
        gpu = '\n'.join(f'### {name}, on the GPU\n\n{block}' for name, block in found.items())
    return with_blocks(page, {**blocks(measured), 'cuda': gpu})


def blocks(measured: Found) -> dict[str, str]:
    """Name -> content of the blocks that one file fills."""
    sections, versions = measured['sections'], measured['versions']
    packages = ', '.join(f'{name} {versions[name]}' for name in PACKAGES if name in versions)
    found = dict.fromkeys(SECTIONS, 'Not measured.\n')
    for name, one in sections.items():
        found[name] = table(SECTIONS[name][1], one['rows']) + '\n' * bool(one['facts']) + listed(one['facts'])
    return {
        'setting': listed({**measured['setting'], 'versions': packages}),
        'targets': table('what', targets(measured)),
        'sections': table('section', {name: one['stamp'] for name, one in sections.items()}),
        **found,
    }


def targets(measured: Found) -> dict[str, dict[str, str]]:
    """Every target of the device: the limit, the figure (its median), the verdict."""
    device = 'cpu' if measured['setting']['device'] == 'cpu' else 'cuda'
    rows = json.loads(TARGETS.read_text())
    return {
        row['what']: judged(row, measured['sections']) for row in rows if row.get('device', 'cpu') == device
    }


def judged(target: Found, sections: Found) -> dict[str, str]:
    """One target's columns."""
    found, unit = sections.get(target['section'], {}), f' {target.get("unit", "")}'.rstrip()
    row = found.get('rows', {}).get(target['row'], {}) if 'row' in target else found.get('facts', {})
    sign, limit = ('<=', target['at_most']) if 'at_most' in target else ('>=', target['at_least'])
    columns = {'target': f'{sign} {limit:g}{unit}', 'measured': '', 'verdict': 'not measured'}
    if target['statistic'] not in row:
        return columns
    value = spread(row[target['statistic']])[0]
    verdict = 'reached' if (value <= limit if sign == '<=' else value >= limit) else '**not reached**'
    return {**columns, 'measured': f'{value:.4g}{unit}', 'verdict': verdict}


def table(head: str, rows: Found) -> str:
    """Rows of columns as Markdown, with GFLOP and GB a second on the wall where they were counted."""
    full = {name: {**row, **rates(row)} for name, row in rows.items()}
    columns = list(dict.fromkeys(column for row in full.values() for column in row))
    lines = [[name, *(shown(row.get(column, '')) for column in columns)] for name, row in full.items()]
    return markdown([head], columns, lines)


def rates(row: Found) -> dict[str, float]:
    """GFLOP/s and GB/s of a row."""
    return {f'{unit}/s': row[unit] / spread(row['wall'])[0] for unit in ('GFLOP', 'GB') if unit in row}


def listed(facts: Found) -> str:
    """Facts as a Markdown list."""
    return ''.join(f'- {name}: {shown(value)}\n' for name, value in facts.items())


def shown(value: Any) -> str:
    """'1.03 (1.02 to 1.05)', to three digits, whole from 1000 on; what is no fraction as it is."""
    if isinstance(value, Mapping):
        return '{} ({} to {})'.format(*map(shown, spread(value)))
    if not isinstance(value, float):
        return str(value)
    return f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'


def spread(value: Any) -> tuple[float, float, float]:
    """Median, low and high of a figure; a number three times."""
    return (value['median'], value['low'], value['high']) if isinstance(value, Mapping) else (value,) * 3


def draw(sections: Found, path: Path) -> None:
    """Medians with their intervals; a section that was not measured leaves its panel empty."""
    style = {'svg.hashsalt': PLOT, 'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(9, 8.6), layout='constrained')
        for (name, columns, across, up), axes in zip(PANELS, figure.subplots(3, 2).flat, strict=True):
            axes.set(xlabel=across, ylabel=up, yscale='log' if up == 'MiB' else 'linear')
            rows = sections[name]['rows'] if name in sections else {}
            for column in columns if rows else ():
                middle, low, high = zip(*(spread(row[column]) for row in rows.values()), strict=True)
                errors = [[abs(m - end) for m, end in zip(middle, ends, strict=True)] for ends in (low, high)]
                axes.errorbar([int(x) for x in rows], middle, errors, marker='o', capsize=2, label=column)
                axes.legend(frameon=False)
        figure.savefig(path, metadata={'Date': None})
