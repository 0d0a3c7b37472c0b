"""Tables of figures, ours beside the published ones: Markdown, CSV, and blocks of a text that are kept up to date.

A block stands between two comments, which Markdown does not show:

    <!-- table: NAME -->
    | made from results; edits are overwritten |
    <!-- end table -->
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..protocols.settings import entry, own_method, table
from .completeness import figure_note
from .keys import DRAWN
from .published import (
    USUAL_BACKBONE,
    Row,
    data_sets_of_methods,
    published_data_sets,
    published_rows,
    verdict,
)
from .rank_correlation import correlation_line
from .words_used import words_line, words_of

OURS = 'this project'
SCENES = dict.fromkeys(DRAWN, ('mIoU', 'mIoU_objects', 'mIoU_grounds'))
SCENES_HEADS = ('mIoU', 'objects', 'grounds', 'held-out pairs: mIoU', 'objects', 'grounds')
Pair: TypeAlias = 'tuple[float | None, float | None]'
BLOCK = re.compile(r'(<!-- table: (\w+) -->\n)(.*?)(<!-- end table -->)', re.DOTALL)


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
    gathered: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for result in cells:
        cell = result['cell']
        backbone = cell['backbone'] or ('scenes' if cell['data_set'] in SCENES else USUAL_BACKBONE)
        key = (cell['method'], cell['protocol'], backbone)
        gathered.setdefault(key, {})[cell['data_set']] = result
    return [own_row(*key, found) for key, found in gathered.items()]


def own_row(method: str, protocol: str, backbone: str, found: Mapping[str, Mapping[str, Any]]) -> Row:
    """A row of this project, from the results of its data sets, if there are any."""
    pamr = 'PAMR' if has_pamr(protocol) else None
    title = methods_of([method])[method]['title']
    figures = {data_set: result['metrics']['mIoU'] for data_set, result in found.items()}
    notes = {data_set: note for data_set, result in found.items() if (note := figure_note(result))}
    return Row(
        *(method, title, protocol, backbone, 'ours', OURS, pamr),
        mIoU=figures,
        notes=notes,
        words=words_of(found),
    )


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
            whose(row) if row.origin == 'ours' else f'published ({sources.index(row.source) + 1})',
            *([row.backbone] if backbones else []),
            ', '.join(part for part in (row.post_processing, row.other_models) if part),
            *(figure(row, name) for name in data_sets),
        ]
        for row in rows
    ]
    titles = {name: known[name]['title'] for name in data_sets}
    listed_sources = '; '.join(f'({number}) {source}' for number, source in enumerate(sources, start=1))
    return (
        f'{markdown(heads, list(titles.values()), lines)}\nPublished by: {listed_sources}. Beside a figure of ours '
        'stands its difference from the published one of the same method, protocol and backbone, where there is one. '
        f'{words_line(rows, titles)}'.rstrip()
        + '\n'
    )


def whose(row: Row) -> str:
    """That a row is ours, and by which protocol where it is not the method's usual one."""
    usual = methods_of([row.method])[row.method]['protocol']
    return OURS if row.protocol == usual else f'{OURS} ({row.protocol})'


def methods_table() -> str:
    """Published figures of the methods that are rows here, and their mean where all data sets have one, as Markdown."""
    rows = [row for row in published_rows() if row.protocol]
    data_sets = data_sets_of_methods()
    lines = [
        [
            row.title,
            f'`{row.protocol}`',
            ', '.join(part for part in (row.post_processing, row.other_models) if part),
            row.source,
            *(figure(row, name) for name in data_sets),
            f'{sum(row.mIoU.values()) / len(data_sets):.1f}' if len(row.mIoU) == len(data_sets) else '',
        ]
        for row in rows
    ]
    titles = [entry('data_sets', name)['title'] for name in data_sets]
    return markdown(['method', 'protocol', 'with', 'published by'], [*titles, 'mean'], lines)


def scenes_table(cells: Sequence[Mapping[str, Any]]) -> str:
    """The embedded benchmark as Markdown, a row for each method that was run with the embedded model."""
    found: dict[str, dict[str, Mapping[str, str]]] = {}
    whole: dict[str, float] = {}  # on all validation scenes
    for result in cells:
        cell = result['cell']
        if cell['data_set'] in SCENES and not cell['backbone'] and cell['protocol'] == 'scenes':
            note = figure_note(result)
            found.setdefault(cell['method'], {})[cell['data_set']] = {
                name: f'{value:.2f}' + (f' ({note})' if note else '')
                for name, value in result['metrics'].items()
            }
            if cell['data_set'] == 'scenes' and not note:
                whole[cell['method']] = result['metrics']['mIoU']
    lines = []
    for method, stated in methods_of(found).items():
        if method in found:
            values = [
                found[method].get(data_set, {}).get(metric, '')
                for data_set, names in SCENES.items()
                for metric in names
            ]
            lines.append([stated['title'], *values])
    line = correlation_line(whole)
    return markdown(['method'], SCENES_HEADS, lines) + (f'\n{line}\n' if line else '')


def csv_table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Every figure in a line of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    heads = ('method', 'protocol', 'backbone', 'origin', 'source', 'post_processing', 'other_models')
    writer.writerow([*heads, 'data_set', 'words', 'mIoU', 'note', 'published', 'difference', 'verdict'])
    for row in [*own_rows(cells), *published_rows()]:
        stated = [getattr(row, head) or '' for head in heads]
        for data_set in row.mIoU:
            compared = [row.notes.get(data_set, ''), *verdict_columns(row, data_set)]
            words = row.words.get(data_set, '')
            writer.writerow([*stated, data_set, words, digits(row, data_set), *compared])
    return text.getvalue()


def panels(cells: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Pair]]:
    """Data set that was measured -> bar -> (ours, published), by titles; for `charts.draw`.

    A bar is a method in one protocol over one backbone. Published alone are methods in their usual protocol over the
    usual backbone that were not measured so.
    """
    rows, known = own_rows(cells), data_sets_of(cells)
    methods = methods_of(result['cell']['method'] for result in cells)
    drawn: dict[str, dict[str, Pair]] = {}
    for data_set in (name for name in known if any(name in row.mIoU for row in rows)):
        panel = drawn.setdefault(known[data_set]['title'], {})
        for method, stated in methods.items():
            usual = known[data_set].get('protocol', stated['protocol'])
            published = published_figure(method, usual, data_set)
            measured = [row for row in rows if row.method == method and data_set in row.mIoU]
            for row in measured:
                compared = row.protocol == usual and row.backbone == USUAL_BACKBONE
                beside = published if compared else None
                panel[bar_label(row, usual, data_set)] = row.mIoU[data_set], beside
                published = None if compared else published
            if published is not None:
                panel[stated['title'] + (' + PAMR' if has_pamr(usual) else '')] = None, published
    return drawn


def published_figure(method: str, protocol: str, data_set: str) -> float | None:
    """The mIoU that was published of a method over the usual backbone, if one was."""
    wanted = (method, protocol, USUAL_BACKBONE)
    rows = (row for row in published_rows() if (row.method, row.protocol, row.backbone) == wanted)
    return next((row.mIoU[data_set] for row in rows if data_set in row.mIoU), None)


def bar_label(row: Row, usual: str, data_set: str) -> str:
    """What a bar of ours is called: its method, and what else is not as usual.

    Args:
        row: ours.
        usual: the method's protocol on the data set.
        data_set: whose figure it is.
    """
    unusual = [
        entry('protocols', row.protocol)['title'] if row.protocol and row.protocol != usual else None,
        None if row.backbone in (USUAL_BACKBONE, 'scenes') else row.backbone,
        row.notes.get(data_set),
    ]
    notes = ', '.join(part for part in unusual if part)
    return row.title + (' + PAMR' if row.post_processing else '') + (f' ({notes})' if notes else '')


def markdown(heads: Sequence[str], figures: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose last columns hold figures, with a line break at its end."""
    rule = ['---'] * len(heads) + ['---:'] * len(figures)
    rows = ([*heads, *figures], rule, *lines)
    return ''.join('|' + ''.join(f' {cell} |' if cell else ' |' for cell in row) + '\n' for row in rows)


def blocks(cells: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name -> content of the blocks that a README may hold."""
    return {'scenes': scenes_table(cells), 'published': leaderboard_table(cells), 'methods': methods_table()}


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


def figure(row: Row, data_set: str) -> str:
    """A figure in a table: of which images it is where not of all, or how it compares with the published one."""
    if data_set not in row.mIoU:
        return ''
    beside = row.notes.get(data_set) or (verdict(row, data_set) if row.origin == 'ours' else None)
    return digits(row, data_set) + (f' ({beside})' if beside else '')


def digits(row: Row, data_set: str) -> str:
    """Two digits for what we measured, the digits of the source for what was published."""
    value = row.mIoU[data_set]
    return f'{value:.2f}' if row.origin == 'ours' else str(value)


def verdict_columns(row: Row, data_set: str) -> list[str]:
    """The published figure, ours minus it, and 'agrees' or 'differs'; empty where there is nothing to compare."""
    found = verdict(row, data_set) if row.origin == 'ours' else None
    if found is None:
        return ['', '', '']
    return [str(found.published), f'{found.difference:+.2f}', 'agrees' if found.agrees else 'differs']
