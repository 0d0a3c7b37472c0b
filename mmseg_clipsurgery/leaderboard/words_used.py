"""Which words the figures of a table are of: mIoU depends on the words a class is asked for by."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..vocabulary import resource_names
from .published import Row


def words_of(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Data set -> name of the words of its result, as the result states it.

    Args:
        found: data set -> result of a cell.
    """
    stated = {data_set: result['protocol'].get('words') for data_set, result in found.items()}
    return {data_set: str(name) for data_set, name in stated.items() if name}


def words_line(rows: Sequence[Row], titles: Mapping[str, str]) -> str:
    """A sentence that names the shipped words of figures; '' where no figure is known to be of such words.

    Args:
        rows: of a table.
        titles: data set -> its title, in the order of the table's columns.
    """
    parts, shipped = [], resource_names('vocabularies')
    for data_set, title in titles.items():
        users: dict[str, list[str]] = {}
        for row in rows:
            if data_set in row.mIoU and row.words.get(data_set) in shipped:
                whose = f'{row.title} of ours' if row.origin == 'ours' else row.title
                users.setdefault(row.words[data_set], []).append(whose)
        named = [f'`{words}` ({", ".join(dict.fromkeys(methods))})' for words, methods in users.items()]
        parts += [f'{title} {", ".join(named)}'] if named else []
    return f'Words, by the names of the shipped vocabularies: {"; ".join(parts)}.' if parts else ''
