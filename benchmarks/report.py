"""docs/performance.md from what was measured: its blocks and its plot; the rest of the page is written by hand."""

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
# Of the plot: section -> what is up, columns.
PANELS = {
    'tokens': ('processor seconds', 'to labels', "open_clip's own forward"),
    'classes': ('processor seconds', 'photo', 'white noise'),
    'memory': ('MiB', 'to labels', 'two full fp32 buffers (on paper)'),
    'templates': ('processor seconds', 'seconds'),
    'batches': ('processor seconds an image', 'seconds'),
    'processes': ('images a second', 'images a second'),
}
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
    found = {
        'setting': listed({**measured['setting'], 'versions': packages}),
        'targets': table(targets(measured)),
        'sections': table({name: section['stamp'] for name, section in sections.items()}),
        **dict.fromkeys(SECTIONS, 'Not measured.\n'),
    }
    for name, section in sections.items():
        found[name] = table(section['rows']) + ('\n' if section['facts'] else '') + listed(section['facts'])
    return found


def targets(measured: Found) -> dict[str, dict[str, str]]:
    """Every target of the device: its limit, the figure (its median), the verdict; the limit itself reaches it."""
    rows, device = {}, 'cpu' if measured['setting']['device'] == 'cpu' else 'cuda'
    for target in json.loads(TARGETS.read_text()):
        if target.get('device', 'cpu') != device:
            continue
        section, unit = measured['sections'].get(target['section'], {}), f' {target.get("unit", "")}'.rstrip()
        row = section.get('rows', {}).get(target['row'], {}) if 'row' in target else section.get('facts', {})
        limit, sign = target['limit'], 1 if target['at'] == 'most' else -1
        columns = {'target': f'at {target["at"]} {limit:g}{unit}', 'measured': '', 'verdict': 'not measured'}
        if target['statistic'] in row:
            value = median(row[target['statistic']])
            reached = 'reached' if sign * value <= sign * limit else '**not reached**'
            columns |= {'measured': f'{value:.4g}{unit}', 'verdict': reached}
        rows[target['what']] = columns
    return rows


def table(rows: Found) -> str:
    """Rows of columns as Markdown, with GFLOP and GB a second on the wall where they were counted."""
    for name, row in rows.items():
        rates = {f'{unit}/s': row[unit] / median(row['wall']) for unit in ('GFLOP', 'GB') if unit in row}
        rows = {**rows, name: {**row, **rates}}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [[name, *(shown(row.get(column, '')) for column in columns)] for name, row in rows.items()]
    return markdown([''], columns, lines)


def listed(facts: Found) -> str:
    """Facts as a Markdown list."""
    return ''.join(f'- {name}: {shown(value)}\n' for name, value in facts.items())


def shown(value: Any) -> str:
    """'1.03 (1.02 to 1.05)', to three digits, whole from 1000 on; what is no fraction as it is."""
    if isinstance(value, Mapping):
        return f'{shown(value["median"])} ({shown(value["low"])} to {shown(value["high"])})'
    if not isinstance(value, float):
        return str(value)
    return f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'


def median(value: Any) -> float:
    return value['median'] if isinstance(value, Mapping) else value


def draw(sections: Found, path: Path) -> None:
    """Medians; a section that was not measured leaves its panel empty."""
    style = {'svg.hashsalt': PLOT, 'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False}
    with matplotlib.rc_context(style):
        picture = Figure(figsize=(9, 8.6), layout='constrained')
        for (name, (up, *columns)), axes in zip(PANELS.items(), picture.subplots(3, 2).flat, strict=True):
            axes.set(title=name, ylabel=up, yscale='log' if up == 'MiB' else 'linear')
            numbers, units = zip(*(row.split(' ', 1) for row in sections[name]['rows']), strict=True)
            for column in columns:
                y = [median(row[column]) for row in sections[name]['rows'].values()]
                axes.plot([int(number) for number in numbers], y, marker='o', label=column)
            axes.set_xlabel(units[-1])
            axes.legend(frameon=False)
        picture.savefig(path, metadata={'Date': None})
