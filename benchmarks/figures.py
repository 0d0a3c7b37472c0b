"""The figure of docs/performance.md: cost against tokens, classes, templates, images and processes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FILE = 'performance_scaling.svg'
STYLE = {
    'svg.hashsalt': FILE,
    'svg.fonttype': 'path',
    'font.size': 9,
    'axes.spines.top': False,
    'axes.spines.right': False,
}
COLOURS = {'plain': '#888888', 'ours': '#0b6fb8', 'worst': '#c4462b'}


def write(sections: Mapping[str, Any], folder: Path) -> None:
    """Draw what was measured of section `scaling` into `folder`."""
    if 'scaling' not in sections:
        return
    points = sections['scaling']
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 8.6), layout='constrained')
        panels = figure.subplots(3, 2)
        tokens(panels[0, 0], points['tokens'])
        classes(panels[0, 1], points['classes'])
        memory(panels[1, 0], sections.get('memory', {}))
        templates(panels[1, 1], points['templates'])
        images(panels[2, 0], points['batches'], points['long run'])
        processes(panels[2, 1], sections.get('processes', {}))
        figure.savefig(folder / FILE, metadata={'Date': None})


def line(
    panel: Axes, x: Sequence[float], summaries: Sequence[Mapping[str, float]], colour: str, label: str
) -> None:
    """Medians with their intervals."""
    medians = [one['median'] for one in summaries]
    errors = [
        [one['median'] - one['low'] for one in summaries],
        [one['high'] - one['median'] for one in summaries],
    ]
    panel.errorbar(
        x, medians, errors, marker='o', markersize=4, capsize=2, color=COLOURS[colour], label=label
    )


def finish(panel: Axes, x: str, y: str) -> None:
    panel.set(xlabel=x, ylabel=y, ylim=(0, None), xlim=(0, None))
    panel.legend(frameon=False)


def tokens(panel: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    x = [one['tokens'] for one in points]
    line(panel, x, [one['plain']['seconds'] for one in points], 'plain', "open_clip's own forward")
    line(panel, x, [one['labels']['seconds'] for one in points], 'ours', 'ours, to labels of 59 classes')
    finish(panel, 'tokens of one image', 'processor seconds')


def classes(panel: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    x = [one['classes'] for one in points]
    line(panel, x, [one['photo']['seconds'] for one in points], 'ours', 'photo')
    line(panel, x, [one['noise']['seconds'] for one in points], 'worst', 'white noise')
    finish(panel, 'classes', 'seconds from grid logits to labels')


def templates(panel: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    words = points[0]['words'] if points else 0
    line(
        panel,
        [one['templates'] for one in points],
        [one['seconds'] for one in points],
        'ours',
        f'{words} words',
    )
    finish(panel, 'templates', 'processor seconds to encode')


def images(panel: Axes, batches: Sequence[Mapping[str, Any]], run: Sequence[Mapping[str, float]]) -> None:
    if batches:
        seconds = [one['seconds'] for one in batches]
        line(
            panel,
            [one['images'] for one in batches],
            seconds,
            'ours',
            'in a batch of so many',
        )
    x, seconds = [one['images'] for one in run], [one['seconds'] / one['images'] for one in run]
    panel.plot(
        x,
        seconds,
        marker='s',
        markersize=4,
        color=COLOURS['plain'],
        label='one after the other',
    )
    finish(panel, 'images', 'processor seconds an image')


def memory(panel: Axes, section: Mapping[str, Any]) -> None:
    counts = list(section.get('classes', {}))
    if not counts:
        panel.set_axis_off()
        return
    x = [int(count) for count in counts]
    for colour, label, values in (
        ('worst', 'two full fp32 buffers (on paper)', [section['two full buffers'][k] for k in counts]),
        ('ours', 'ours, labels alone', [section['classes'][k]['labels'] for k in counts]),
    ):
        panel.plot(x, values, marker='o', markersize=4, color=COLOURS[colour], label=label)
    height, width = section['size']
    panel.set(xlabel=f'classes, image of {width} x {height}', ylabel='MiB above the weights', yscale='log')
    panel.set(xlim=(0, None))
    panel.legend(frameon=False)


def processes(panel: Axes, section: Mapping[str, Any]) -> None:
    rates = section.get('images a second')
    if not rates:
        panel.set_axis_off()
        return
    x = [int(count) for count in rates]
    line(panel, x, list(rates.values()), 'ours', 'the test tool')
    one = rates['1']['median']
    tower = section['faster, plain tower alone']['median']
    panel.plot(x, [one, one * tower], '--', color=COLOURS['plain'], label='as the plain tower alone')
    panel.set_xticks(x)
    finish(panel, 'processes, a core each', 'images a second')
