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
# Of the plot: section -> what is up, what is across, columns.
PANELS = {
    'tokens': ('seconds', 'pixels a side', 'to labels', "open_clip's own forward"),
    'classes': ('seconds', 'classes', 'photo', 'white noise'),
    'memory': ('MiB', 'classes', 'to labels', 'two full fp32 buffers (on paper)'),
    'templates': ('seconds', 'templates', 'seconds'),
    'long_run': ('MiB', 'images', 'MiB'),
    'processes': ('images a second', 'processes', 'images a second'),
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
    sections, setting = measured['sections'], {**measured['setting'], **measured['versions']}
    found = {
        'setting': table({name: {'here': value} for name, value in setting.items()}),
        'targets': table(targets(measured)),
        'sections': table({name: section['stamp'] for name, section in sections.items()}),
        **dict.fromkeys(SECTIONS, 'Not measured.\n'),
    }
    return found | {name: table(section['rows']) for name, section in sections.items()}


def targets(measured: Found) -> dict[str, dict[str, str]]:
    """Every target of the device: its limit, the figure (its median), the verdict; the limit itself reaches it."""
    rows, device = {}, 'cpu' if measured['setting']['device'] == 'cpu' else 'cuda'
    for target in json.loads(TARGETS.read_text()):
        if target.get('device', 'cpu') != device:
            continue
        section, unit = measured['sections'].get(target['section'], {'rows': {}}), target.get('unit', '')
        found = section['rows'].get(target['row'], {}).get(target['statistic'])
        value, verdict = '', 'not measured'
        if found is not None:
            over = median(found) - target['limit']
            reached = over <= 0 if target['at'] == 'most' else over >= 0
            value, verdict = f'{median(found):.4g} {unit}', 'reached' if reached else '**not reached**'
        limit = f'at {target["at"]} {target["limit"]:g} {unit}'
        rows[target['what']] = {'target': limit, 'measured': value, 'verdict': verdict}
    return rows


def table(rows: Found) -> str:
    """Rows of columns as Markdown, with GFLOP and GB a second on the wall where they were counted."""
    for name, row in rows.items():
        rates = {f'{unit}/s': row[unit] / median(row['wall']) for unit in ('GFLOP', 'GB') if unit in row}
        rows = {**rows, name: {**row, **rates}}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [[name, *(shown(row.get(column, '')) for column in columns)] for name, row in rows.items()]
    return markdown([''], columns, lines)


def shown(value: Any) -> str:
    """'1.03 (1.02 to 1.05)', to three digits, whole from 1000 on; what is no fraction as it is."""
    if isinstance(value, Mapping):
        return f'{shown(value["median"])} ({shown(value["low"])} to {shown(value["high"])})'
    if not isinstance(value, float):
        return str(value).strip()
    return f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'


def median(value: Any) -> float:
    return value['median'] if isinstance(value, Mapping) else value


def draw(sections: Found, path: Path) -> None:
    """Medians; a section that was not measured leaves its panel empty."""
    with matplotlib.rc_context({'svg.hashsalt': PLOT, 'font.size': 9}):
        plot = Figure(figsize=(9, 8.6), layout='constrained')
        for axes, (name, (up, across, *columns)) in zip(
            plot.subplots(3, 2).flat, PANELS.items(), strict=True
        ):
            rows = sections.get(name, {'rows': {}})['rows']
            for column in columns if rows else ():
                y = [median(row[column]) for row in rows.values()]
                axes.plot([int(row.split()[0]) for row in rows], y, marker='o', label=column)
                axes.legend(frameon=False)
            scale = dict(yscale='log') if up == 'MiB' else dict(ylim=(0, None))
            axes.set(title=name, xlabel=across, ylabel=up, **scale)
        plot.savefig(path, metadata={'Date': None})
