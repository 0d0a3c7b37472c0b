"""The figure of docs/performance.md: cost against tokens, classes, templates, images."""

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
        figure = Figure(figsize=(9, 6.2), layout='constrained')
        panels = figure.subplots(2, 2)
        tokens(panels[0, 0], points['tokens'])
        classes(panels[0, 1], points['classes'])
        templates(panels[1, 0], points['templates'])
        images(panels[1, 1], points['batches'], points['long run'])
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
        seconds = [one['seconds an image'] for one in batches]
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
