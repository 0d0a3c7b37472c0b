"""Pictures of leaderboards: a panel for each data set.

draw        a bar for each method, the published figure beside ours
draw_costs  a point for each explainer: AP against cost
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..environment.files import atomic_write

OURS, PUBLISHED = '#1f6fb4', '#c9cdd2'
COLUMNS = 4  # panels side by side
SIDE_BY_SIDE = 8  # methods whose figures have room beside each other; those of more stand upright
TICKS = (0.8, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # passes of a tower
Panel = Mapping[str, tuple[float | None, float | None]]


def draw(panels: Mapping[str, Panel], path: str | Path) -> None:
    """Write a PNG.

    Args:
        panels: data set -> method -> (ours, published), mIoU in percent, None where there is no figure. Panels have
            a bar less for each figure that is not there.
        path: where to.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not panels:
        raise ValueError('there is no figure to draw: run a cell of the leaderboard first')
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns, 0.6 + 2.9 * rows), layout='constrained')
    for axes, (title, panel) in zip(
        figure.subplots(rows, columns, squeeze=False).flat, panels.items(), strict=False
    ):
        draw_panel(axes, title, panel)
    figure.supylabel('mIoU (%)', fontsize=9)
    for axes in figure.axes[len(panels) :]:
        axes.set_axis_off()
    handles = [Patch(color=colour) for colour in (OURS, PUBLISHED)]
    figure.legend(
        handles, ['this project', 'published'], loc='outside upper right', ncols=2, frameon=False, fontsize=9
    )
    atomic_write(path, lambda temporary: figure.savefig(temporary, format='png', dpi=110))


def draw_costs(panels: Mapping[str, Mapping[str, tuple[float, float]]], path: str | Path) -> None:
    """Write a PNG of figures against costs.

    Args:
        panels: data set -> explainer -> (cost in passes of the tower, AP in percent).
        path: where to.
    """
    columns = max(1, min(2, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(7.6 * columns, 6.2 * rows), layout='constrained')
    every = figure.subplots(rows, columns, squeeze=False).flat
    for axes, (title, panel) in zip(every, panels.items(), strict=False):
        draw_points(axes, title, panel)
    for axes in figure.axes[len(panels) :]:
        axes.set_axis_off()
    atomic_write(path, lambda temporary: figure.savefig(temporary, format='png', dpi=110))


def draw_points(axes: Axes, title: str, panel: Mapping[str, tuple[float, float]]) -> None:
    """Points of one data set, each with its name; names that would stand on each other are moved down."""
    axes.set_title(title, fontsize=10)
    axes.set_xscale('log')
    axes.set_xticks(TICKS, [f'{tick:g}' for tick in TICKS])
    axes.minorticks_off()
    axes.set_xlabel('operations for three texts, in passes of the tower', fontsize=9)
    axes.set_ylabel('AP (%)', fontsize=9)
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
    low, high = min(ap for _, ap in panel.values()), max(ap for _, ap in panel.values())
    room, last = max(high - low, 1) / 42, float('inf')  # height of a line
    for name, (cost, ap) in sorted(panel.items(), key=lambda point: -point[1][1]):
        axes.plot(cost, ap, 'o', color=OURS, markersize=4)
        last = min(ap, last - room)
        arrow = dict(arrowstyle='-', color=PUBLISHED, linewidth=0.6)
        axes.annotate(name, (cost, ap), (cost * 1.08, last), fontsize=6.5, va='center', arrowprops=arrow)
    costs = [cost for cost, _ in panel.values()]
    axes.set_xlim(0.9 * min(costs), 1.7 * max(costs))


def draw_panel(axes: Axes, title: str, panel: Panel) -> None:
    """Bars of one data set, their figures above them."""
    axes.set_title(title, fontsize=10)
    axes.set_xticks(range(len(panel)), list(panel), rotation=40, ha='right', fontsize=8)
    axes.set_xlim(-0.6, len(panel) - 0.4)
    upright = len(panel) > SIDE_BY_SIDE
    highest = max((value for pair in panel.values() for value in pair if value), default=1.0)
    axes.set_ylim(0, (1.3 if upright else 1.18) * highest)
    axes.tick_params(axis='y', labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)
    for place, pair in enumerate(panel.values()):
        for bar in bars(place, pair):
            axes.bar(*bar[:2], width=bar[2], color=bar[3])
            above: dict[str, Any] = dict(ha='center', va='bottom', xytext=(0, 1), textcoords='offset points')
            axes.annotate(f'{bar[1]:.1f}', bar[:2], fontsize=6.5, rotation=90 * upright, **above)


def bars(place: int, pair: Sequence[float | None]) -> list[tuple[float, float, float, str]]:
    """(x, height, width, colour) of the one or two bars of a method."""
    there = [
        (value, colour) for value, colour in zip(pair, (OURS, PUBLISHED), strict=True) if value is not None
    ]
    width = 0.76 / max(1, len(there))
    left = place - 0.38 + width / 2
    return [(left + index * width, value, width, colour) for index, (value, colour) in enumerate(there)]
