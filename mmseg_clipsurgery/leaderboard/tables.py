"""Tables of figures, ours beside the published ones: Markdown, CSV, and blocks of a text that are kept up to date.

A block stands between two comments, which Markdown does not show:

    <!-- table: NAME -->
    | made from results; edits are overwritten |
    <!-- end table -->
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..protocols.settings import entry, own_method, table
from ..resources import RESOURCES

PUBLISHED = RESOURCES / 'published.json'
OURS = 'this project'
USUAL_BACKBONE = 'ViT-B/16'  # OpenAI's, of the shipped configs
SCENES = {'scenes': ('mIoU', 'mIoU_objects', 'mIoU_grounds'), 'scenes_heldout': ('mIoU',)}
SCENES_HEADS = ('mIoU', 'objects', 'grounds', 'held-out pairs: mIoU')
Pair: TypeAlias = 'tuple[float | None, float | None]'
BLOCK = re.compile(r'(<!-- table: (\w+) -->\n)(.*?)(<!-- end table -->)', re.DOTALL)


@dataclass(frozen=True)
class Row:
    """Figures of one method from one source.

    method, protocol: names of protocols.json; protocol None where the method is none of ours.
    origin: 'published' or 'ours'.
    source: who published it, or how we ran it.
    mIoU: data set -> percent.
    """

    method: str
    title: str
    protocol: str | None
    backbone: str
    origin: str
    source: str
    post_processing: str | None = None
    other_models: str | None = None
    mIoU: Mapping[str, float] = field(default_factory=dict)


def published_rows() -> list[Row]:
    """The rows of `resources/published.json`."""
    rows = json.loads(PUBLISHED.read_text(encoding='utf-8'))['rows']
    return [Row(origin='published', backbone=USUAL_BACKBONE, **row) for row in rows]


def published_data_sets() -> list[str]:
    """The data sets of the public leaderboard, in its order."""
    return json.loads(PUBLISHED.read_text(encoding='utf-8'))['data_sets']


def methods_of(names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The methods of the table, then those among `names` that are the user's own, whether they are known or not."""
    own = {name: own_method(name) for name in sorted(set(names)) if name not in table()['methods']}
    return {**table()['methods'], **own}


def data_sets_of(cells: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The data sets of the table, then those of the user's own as their results state them."""
    stated = [result['cell'] for result in cells]
    return {
        **table()['data_sets'],
        **{cell['data_set']: cell['own_data_set'] for cell in stated if 'own_data_set' in cell},
    }


def own_rows(cells: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Results of cells, one row for each method, protocol and backbone, in the order of the cells."""
    gathered: dict[tuple[str, str, str], dict[str, float]] = {}
    for result in cells:
        cell = result['cell']
        backbone = cell['backbone'] or ('scenes' if cell['data_set'] in SCENES else USUAL_BACKBONE)
        key = (cell['method'], cell['protocol'], backbone)
        gathered.setdefault(key, {})[cell['data_set']] = result['metrics']['mIoU']
    return [own_row(*key, figures) for key, figures in gathered.items()]


def own_row(method: str, protocol: str, backbone: str, figures: Mapping[str, float]) -> Row:
    """A row of this project, with or without figures."""
    pamr = 'PAMR' if has_pamr(protocol) else None
    title = methods_of([method])[method]['title']
    return Row(method, title, protocol, backbone, 'ours', OURS, pamr, mIoU=figures)


def has_pamr(protocol: str) -> bool:
    """Whether a protocol refines by PAMR."""
    stated = entry('protocols', protocol)
    if 'pamr' in stated['default']:
        return stated['default']['pamr'] is not None
    return has_pamr(stated['like']) if 'like' in stated else False


def leaderboard_rows(cells: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Method by method the published rows, then those of this project (an empty one where there is none)."""
    published = published_rows()
    own = [row for row in own_rows(cells) if set(row.mIoU) - set(SCENES)]
    methods = methods_of(row.method for row in own)
    rows = []
    for method, stated in methods.items():
        empty = own_row(method, stated['protocol'], USUAL_BACKBONE, {})
        rows += [row for row in published if row.method == method]
        rows += [row for row in own if row.method == method] or [empty]
    return rows + [row for row in published if row.method not in methods]


def leaderboard_table(cells: Sequence[Mapping[str, Any]]) -> str:
    """mIoU on real data as Markdown; what nobody measured or published is empty."""
    rows, known = leaderboard_rows(cells), data_sets_of(cells)
    listed = published_data_sets()
    more = [name for name in known if name not in (*listed, *SCENES)]
    data_sets = listed + [name for name in more if any(name in row.mIoU for row in rows)]
    backbones = {row.backbone for row in rows} != {USUAL_BACKBONE}
    heads = ['method', 'figures of', *(['backbone'] if backbones else []), 'with']
    sources = list(dict.fromkeys(row.source for row in rows if row.origin == 'published'))
    lines = [
        [
            row.title,
            OURS if row.origin == 'ours' else f'published ({sources.index(row.source) + 1})',
            *([row.backbone] if backbones else []),
            ', '.join(part for part in (row.post_processing, row.other_models) if part),
            *(_figure(row.mIoU.get(name), row.origin) for name in data_sets),
        ]
        for row in rows
    ]
    titles = [known[name]['title'] for name in data_sets]
    listed_sources = '; '.join(f'({number}) {source}' for number, source in enumerate(sources, start=1))
    return f'{markdown(heads, titles, lines)}\nPublished on {USUAL_BACKBONE} by: {listed_sources}.\n'


def scenes_table(cells: Sequence[Mapping[str, Any]]) -> str:
    """The embedded benchmark as Markdown, a row for each method that was run with the embedded model."""
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    for result in cells:
        cell = result['cell']
        if cell['data_set'] in SCENES and not cell['backbone'] and cell['protocol'] == 'scenes':
            found.setdefault(cell['method'], {})[cell['data_set']] = result['metrics']
    lines = []
    for method, stated in methods_of(found).items():
        if method in found:
            values = [
                found[method].get(data_set, {}).get(metric)
                for data_set, names in SCENES.items()
                for metric in names
            ]
            lines.append([stated['title'], *map(_figure, values)])
    return markdown(['method'], SCENES_HEADS, lines)


def csv_table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Every figure in a line of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    heads = ('method', 'protocol', 'backbone', 'origin', 'source', 'post_processing', 'other_models')
    writer.writerow([*heads, 'data_set', 'mIoU'])
    for row in [*own_rows(cells), *published_rows()]:
        stated = [getattr(row, head) or '' for head in heads]
        writer.writerows(
            [*stated, data_set, _figure(figure, row.origin)] for data_set, figure in row.mIoU.items()
        )
    return text.getvalue()


def panels(cells: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Pair]]:
    """Data set -> method -> (ours, published), by titles, with the usual backbones and protocols; for `charts.draw`."""
    usual = [
        row for row in [*own_rows(cells), *published_rows()] if row.backbone in (USUAL_BACKBONE, 'scenes')
    ]
    methods = methods_of(result['cell']['method'] for result in cells)
    drawn = {}
    for data_set, facts in data_sets_of(cells).items():
        found = {
            (row.method, row.protocol, row.origin): row.mIoU[data_set]
            for row in usual
            if data_set in row.mIoU
        }
        panel = {}
        for method, stated in methods.items():
            protocol = facts.get('protocol', stated['protocol'])
            pair = found.get((method, protocol, 'ours')), found.get((method, protocol, 'published'))
            if pair != (None, None):
                panel[stated['title'] + (' + PAMR' if has_pamr(protocol) else '')] = pair
        if panel:
            drawn[facts['title']] = panel
    return drawn


def markdown(heads: Sequence[str], figures: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose last columns hold figures, with a line break at its end."""
    rule = ['---'] * len(heads) + ['---:'] * len(figures)
    rows = ([*heads, *figures], rule, *lines)
    return ''.join('|' + ''.join(f' {cell} |' if cell else ' |' for cell in row) + '\n' for row in rows)


def blocks(cells: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name -> content of the blocks that a README may hold."""
    return {'scenes': scenes_table(cells), 'published': leaderboard_table(cells)}


def with_blocks(text: str, contents: Mapping[str, str]) -> str:
    """A text whose blocks hold these contents.

    Raises:
        ValueError: the text has no block, or one whose name is not known.
    """
    names = [match[2] for match in BLOCK.finditer(text)]
    unknown = [name for name in names if name not in contents]
    if unknown or not names:
        given = f'the table {unknown[0]!r}' if unknown else 'no table'
        raise ValueError(
            f'the text has {given}: write <!-- table: NAME --> and <!-- end table -->, {", ".join(contents)}'
        )
    return BLOCK.sub(lambda match: f'{match[1]}{contents[match[2]]}{match[4]}', text)


def _figure(value: float | None, origin: str = 'ours') -> str:
    """Two digits for what we measured, the digits of the source for what was published."""
    if value is None:
        return ''
    return f'{value:.2f}' if origin == 'ours' else str(value)
