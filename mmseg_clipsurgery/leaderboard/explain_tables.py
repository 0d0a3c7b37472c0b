"""Tables of explainers: the panel of each data set, AP over data sets, published figures beside ours; Markdown and CSV.

Rows are sorted by the leading figure, AP, highest first. In tables a figure of a part of the images is marked.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..explainers.table import EXPLAINERS
from ..resources import RESOURCES
from ..surgery import SURGERIES
from .completeness import images_note
from .tables import markdown, methods_of

PUBLISHED = RESOURCES / 'published_explanations.json'
# Metric -> (head of its column, digits); the first one that results have leads.
COLUMNS = {
    'AP': ('AP', 2),
    'flat_AP': ('AP, flat map', 2),
    'point_AP': ('point AP', 2),
    'point_flat_AP': ('point AP, flat map', 2),
    'AP_classes': ('AP, classes', 2),
    'AUROC': ('AUROC', 2),
    'point_mIoU': ('p-mIoU', 2),
    'point_mIoU_both': ('p-mIoU, both', 2),
    'map_mIoU': ('best mIoU', 2),
    'threshold': ('at', 2),
    'map_mIoU_heldout': ('held out', 2),
    'IoU_50': ('IoU at 0.5', 2),
    'IoU_mean': ('above mean', 2),
    'mSC': ('mSC', 2),
    'mSC_classes': ('mSC, classes', 2),
    'pointing': ('pointing', 2),
    'pointing_15': ('15 pixels', 2),
    'energy': ('energy', 2),
    'energy_minmax': ('energy, min-max', 2),
    'points': ('points', 0),
    'pairs': ('pairs', 0),
}
Results = Sequence[Mapping[str, Any]]


def leading(metrics: Mapping[str, Any]) -> str:
    """The name of the figure that leads.

    Raises:
        ValueError: there is none; the evaluator is no metric of explanation.
    """
    for name in ('AP', 'point_AP'):
        if name in metrics:
            return name
    raise ValueError(
        f'the evaluator gives {", ".join(metrics) or "nothing"} and no AP: set test_evaluator to '
        'ExplainabilityMetric or PointExplainabilityMetric'
    )


def lead(result: Mapping[str, Any]) -> float:
    """The figure that leads, NaN where no pair has one."""
    value = result['metrics'][leading(result['metrics'])]
    return math.nan if value is None else float(value)


def rank(result: Mapping[str, Any]) -> tuple[float, str]:
    """What rows are sorted by: the highest first, those without a figure last."""
    value = lead(result)
    return (math.inf if math.isnan(value) else -value), result['run']['explainer']


def blocks(results: Results) -> dict[str, str]:
    """Name -> table: the panel of each data set by its name, `ap`, and `published_explanations`."""
    names = dict.fromkeys(result['run']['data_set'] for result in results)
    by_data_set = {
        name: [result for result in results if result['run']['data_set'] == name] for name in names
    }
    return {
        **{name: panel_table(found) for name, found in by_data_set.items()},
        'ap': ap_table(by_data_set),
        'published_explanations': published_table(results),
    }


def panel_table(results: Results) -> str:
    """All figures of one data set, a row for each explainer."""
    shown = [name for name in COLUMNS if any(name in result['metrics'] for result in results)]
    lines = []
    for result in results:
        name = f'`{result["run"]["explainer"]}`{noted(result)}'
        figures = [stated(result['metrics'].get(metric), COLUMNS[metric][1]) for metric in shown]
        lines.append([title_of(result['run']['explainer']), name, *figures, stated(result.get('cost'), 2)])
    return markdown(['explainer', 'name'], [*(COLUMNS[metric][0] for metric in shown), 'cost'], lines)


def ap_table(by_data_set: Mapping[str, Results]) -> str:
    """The leading figure of every explainer on every data set, in the order of the first data set."""
    order = dict.fromkeys(result['run']['explainer'] for found in by_data_set.values() for result in found)
    figures = {
        (result['run']['explainer'], name): stated(lead(result), 2) + noted(result)
        for name, found in by_data_set.items()
        for result in found
    }
    lines = [
        [title_of(explainer), f'`{explainer}`', *(figures.get((explainer, name), '') for name in by_data_set)]
        for explainer in order
    ]
    return markdown(['explainer', 'name'], list(by_data_set), lines)


def published_table(results: Results) -> str:
    """What was published, by whom, whether it can be compared, and our figure of the same explainer, data and tower."""
    ours = {
        (result['run']['explainer'], result['run']['data_set'], tower_of(result)): result
        for result in results
    }
    lines = []
    for row in json.loads(PUBLISHED.read_text(encoding='utf-8'))['rows']:
        own = ours.get((row['explainer'], row['data_set'], row['tower']))
        figure = '' if own is None else stated(own['metrics'].get(row['metric']), 2) + noted(own)
        cells = row['title'], row['data'], row['figure'], row['source'], row['comparable'], row['published']
        lines.append([*map(str, cells), figure])
    heads = ['explainer', 'data set, tower', 'figure', 'source', 'comparable']
    return markdown(heads, ['published', 'this project'], lines)


def tower_of(result: Mapping[str, Any]) -> str:
    """The tower of a result as ARCH:PRETRAINED."""
    return f'{result["protocol"].get("arch")}:{result["protocol"].get("pretrained")}'


def csv_table(results: Results) -> str:
    """Every figure in a line of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['explainer', 'data_set', 'metric', 'value', 'cost', 'note'])
    for result in results:
        names = result['run']['explainer'], result['run']['data_set']
        ends = stated(result.get('cost'), 3), images_note(result) or ''
        for metric, value in result['metrics'].items():
            writer.writerow([*names, metric, stated(value, 4), *ends])
    return text.getvalue()


def costs_and_figures(results: Results) -> dict[str, dict[str, tuple[float, float]]]:
    """Data set -> explainer -> (cost, leading figure), of those that have both; for `charts.draw_costs`."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for result in results:
        name = result['run']['data_set']
        if result.get('cost') and not math.isnan(lead(result)):
            found.setdefault(name, {})[result['run']['explainer']] = result['cost'], lead(result)
    return found


def title_of(explainer: str) -> str:
    """An explainer's title: of a surgery its method's; its name where this process does not know it."""
    surgery, _, similarity = explainer.partition(':')
    if explainer in EXPLAINERS and surgery not in SURGERIES:
        return EXPLAINERS[explainer].title
    method = methods_of([surgery])[surgery]['title']
    if not similarity:
        return method
    return method + ' + feature surgery' + ('' if similarity == 'released' else f' ({similarity})')


def noted(result: Mapping[str, Any]) -> str:
    """' (32 of 200 images)' where a result is of other images than all; empty where it is of all."""
    note = images_note(result)
    return f' ({note})' if note else ''


def stated(value: float | None, digits: int) -> str:
    """A figure in a table; empty where there is none."""
    return '' if value is None or math.isnan(value) else f'{value:.{digits}f}'
