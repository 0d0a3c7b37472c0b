"""A picture of a leaderboard: a panel for each data set, a bar for each method, the published figure beside ours."""

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
