"""Classes in the files of other tools and data sets: what is common is read, all else is refused with its line.

    text lines      aeroplane · sofa, couch · 0 background · - aeroplane · names: [cat, dog]       see `word_lines`
    JSON            ["cat", ["sofa", "couch"]] · {"0": "cat"} · {"cat": 0} · {"sofa": ["sofa", "couch"]}
                    {"fish": ["A fish has scales.", "a fish"]}, prompts a class as in CuPL's files, repeated ones once
                    {"categories": [{"id": 1, "name": "cat"}]}, COCO's, or the list alone, in the order of the ids;
                    LVIS's with their synonyms, whose _ are read as blanks
                    {"names": ...} and the other `HOLDERS`, whose value is one of these
    CSV, tabs       a header with a column Name, as ADE20K's objectInfo; synonyms are separated by ; or, beside tabs, by
                    a comma, or stand in a column of their own

Numbers say the order; a class is numbered by its place.
"""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

from .word_lines import IDENTIFIER, Classes, check_run, parse_lines

# Keys whose value are the classes, in the order in which they are looked for.
HOLDERS = (
    'categories',
    'names',
    'id2label',
    'label2id',
    'classes',
    'CLASSES',
    'class_names',
    'labels',
    'thing_classes',
    'stuff_classes',
)
NAME_COLUMNS = (
    'name',
    'displayname',
    'class',
    'label',
    'category',
    'words',
    'class_name',
    'label_name',
    'category_name',
)
ID_COLUMNS = ('id', 'idx', 'index', 'class_id', 'label_id', 'category_id')
SYNONYM_COLUMNS = ('synonyms', 'aliases')
COLOUR = re.compile(r'#(?:[0-9A-Fa-f]{3,4}){1,2}')


def parse_words(text: str) -> Classes | Sequence[Any] | Mapping[str, Any]:
    """The content of a file of words.

    Args:
        text: all of it.

    Returns:
        (name, words) pairs in label order, or a list or mapping as `Vocabulary.read` takes it.

    Raises:
        ValueError: another form, with the number of the line that shows it.
    """
    if text.lstrip()[:1] in ('[', '{'):
        return from_json(text)
    lines = [
        (number, line.rstrip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.strip().startswith('#')
    ]
    if lines and table_of(text, lines[0][1].strip()):
        return from_table(text)
    return parse_lines(lines)


def from_json(text: str) -> Classes | Sequence[Any] | Mapping[str, Any]:
    """Classes in one of the JSON forms above."""
    try:
        content = json.loads(text, object_pairs_hook=without_repeated_keys)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'it starts as JSON and is none: {error}') from None
    if isinstance(content, dict):
        held = [key for key in HOLDERS if isinstance(content.get(key), list | dict)]
        if {'thing_classes', 'stuff_classes'} <= {*held}:
            raise ValueError(
                'it has thing_classes and stuff_classes, whose labels are counted apart: give one list, in label order'
            )
        content = content[held[0]] if held else content
    if isinstance(content, list):
        named = content and isinstance(content[0], dict)
        return from_categories(content) if named else without_identifiers(content)
    return from_object(content)


def without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The content of an object. Raises ValueError where a key stands there twice, since JSON would keep the last."""
    content = dict(pairs)
    if len(content) < len(pairs):
        again = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise ValueError(f'the key "{again}" stands there twice')
    return content


def from_categories(categories: list) -> Classes:
    """Categories of COCO, LVIS, CVAT or Mapillary (whose readable names are taken), in the order of their ids."""
    classes = []
    for place, category in enumerate(categories, start=1):
        name = category.get('readable', category.get('name')) if isinstance(category, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f'category {place} has no "name", got {str(category)[:60]}')
        classes.append((name, synonyms_of(category) or [name]))
    ids = [str(category.get('id')) for category in categories]
    if not all(map(str.isdecimal, ids)):
        return classes
    order = sorted(range(len(ids)), key=lambda place: int(ids[place]))
    if again := [first for first, second in pairwise(order) if int(ids[first]) == int(ids[second])]:
        raise ValueError(f'two categories have the id {ids[again[0]]}')
    return [classes[place] for place in order]


def synonyms_of(category: dict) -> list[str]:
    """Words of an LVIS category, which are written with _ for blanks; none of another's."""
    synonyms = category.get('synonyms')
    if not isinstance(synonyms, list) or not all(isinstance(word, str) for word in synonyms):
        return []
    return list(dict.fromkeys(word.replace('_', ' ') for word in synonyms))


def without_identifiers(classes: list) -> list:
    """Classes without WordNet's or Open Images' ids, where each has one before its names."""
    if not all(isinstance(words, list) and len(words) > 1 for words in classes):
        return classes
    if not all(isinstance(words[0], str) and IDENTIFIER.fullmatch(words[0]) for words in classes):
        return classes
    return [words[1:] for words in classes]


def from_object(content: dict) -> Sequence[Any] | Mapping[str, Any]:
    """{index: name}, {name: index} or {name: words}."""
    if content and all(re.fullmatch(r'\s*-?\d+\s*', key) for key in content):
        pairs = sorted(((int(key), value) for key, value in content.items()), key=itemgetter(0))
    elif content and all(type(value) is int for value in content.values()):
        pairs = sorted((value, key) for key, value in content.items())
    else:
        for key, value in content.items():
            if not isinstance(value, str | list) or not all(isinstance(word, str) for word in value):
                raise ValueError(f'"{key}" holds no word and no list of words, got {str(value)[:60]}')
            if isinstance(value, str) and COLOUR.fullmatch(value):
                raise ValueError(f'"{key}" holds a colour, {value}, and no word: give a list of the names')
        if all(map(IDENTIFIER.fullmatch, content)):
            return list(content.values())
        return {name: without_repeats(words) for name, words in content.items()}
    check_run([index for index, _ in pairs])
    return without_identifiers([name for _, name in pairs])


def without_repeats(words: Any) -> Any:
    """A list of texts with each of them once, since a language model that wrote them repeats itself; else as it is."""
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return list(dict.fromkeys(words))
    return words


def table_of(text: str, header: str) -> bool:
    """Whether a text is a table: its rows have equally many columns, one of which is named as that of the names."""
    if '\t' not in header and ',' not in header:
        return False
    rows = cells(text)
    return bool(rows) and column(rows[0], NAME_COLUMNS) is not None and len({len(row) for row in rows}) == 1


def cells(text: str) -> list[list[str]]:
    """Rows of a table whose columns are separated by tabs or commas; blank rows left out."""
    delimiter = '\t' if '\t' in text.strip().splitlines()[0] else ','
    rows = csv.reader(text.strip().splitlines(), delimiter=delimiter)
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]


def column(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Place of the first column with one of these names, whatever its case."""
    return next((place for place, cell in enumerate(header) if cell.lower().replace(' ', '_') in names), None)


def from_table(text: str) -> Classes:
    """Classes of a table with a header, in the order of its rows, which a column of numbers must follow."""
    header, *rows = cells(text)
    name, number = column(header, NAME_COLUMNS), column(header, ID_COLUMNS)
    assert name is not None
    for place, row in enumerate(rows, start=2):
        if len(row) <= name or not row[name] or (number is not None and not row[number].isdigit()):
            raise ValueError(f'row {place} has no name or no number: {",".join(row)[:60]!r}')
    if number is not None and len(rows) > 1:
        check_run([int(row[number]) for row in rows])
    separators = '[;,]' if '\t' in text.strip().splitlines()[0] else ';'
    more = column(header, SYNONYM_COLUMNS)
    words = [
        [word.strip() for word in re.split(separators, row[name]) if word.strip()]
        + ([] if more is None else [word.strip() for word in re.split('[;,|]', row[more]) if word.strip()])
        for row in rows
    ]
    return [(synonyms[0], list(dict.fromkeys(synonyms))) for synonyms in words]
