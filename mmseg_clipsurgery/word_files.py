"""Classes in the files of other tools and data sets: what is common is read, all else is refused with its line.

    text lines      aeroplane · sofa, couch · background: sky, wall         see `vocabulary`
                    0 background · 1: aeroplane · 1, aeroplane              numbered without gaps from 0 or 1
    JSON            ["cat", ["sofa", "couch"]] · {"0": "cat"} · {"cat": 0} · {"sofa": ["sofa", "couch"]}
                    {"fish": ["A fish has scales.", "a fish"]}, prompts a class as in CuPL's files, repeated ones once
                    {"categories": [{"id": 1, "name": "cat"}]}, COCO's, or the list alone, in the order of the ids
                    {"names": ...} and {"id2label": ...}, whose value is one of these
    CSV, tabs       a header with a column Name, as ADE20K's objectInfo; synonyms are separated by ; or ,

Numbers say the order; a class is numbered by its place.
"""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Classes = list[tuple[str, list[str]]]  # (name, its words)

NUMBERED = re.compile(r'(\d+)\s*[:,=\s]\s*(\S.*)')
FOREIGN = re.compile(r'[\[\]{}<>="|;\\]|^---|^- |^names:')  # marks of another form: JSON, YAML, XML, code
NAME_COLUMNS = ('name', 'class', 'label', 'category', 'words')
ID_COLUMNS = ('id', 'idx', 'index')


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
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.strip().startswith('#')
    ]
    if lines and table_of(text, lines[0][1]):
        return from_table(text)
    matches = [NUMBERED.fullmatch(line) for _, line in lines]
    if lines and all(matches):
        check_run([int(match[1]) for match in matches if match], [number for number, _ in lines])
        lines = [(number, match[2]) for (number, _), match in zip(lines, matches, strict=True) if match]
    return [from_line(number, line) for number, line in lines]


def from_line(number: int, line: str) -> tuple[str, list[str]]:
    """One class of a text file: `name: word, word` or `word, word`, whose first word is the name."""
    if FOREIGN.search(line) or re.match(r'\d+\s*[:=]', line):
        raise ValueError(
            f'line {number}, {line[:60]!r}, is no class: write one class a line, synonyms behind commas, or give a '
            'JSON list'
        )
    name, colon, words = line.partition(':')
    synonyms = [' '.join(word.split()) for word in (words if colon else line).split(',')]
    return (' '.join(name.split()) if colon else synonyms[0]), synonyms


def from_json(text: str) -> Classes | Sequence[Any] | Mapping[str, Any]:
    """Classes in one of the JSON forms above."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'it starts as JSON and is none: {error}') from None
    if isinstance(content, dict):
        for key in ('categories', 'names', 'id2label'):
            if isinstance(content.get(key), list | dict):
                content = content[key]
                break
    if isinstance(content, list):
        return from_categories(content) if content and isinstance(content[0], dict) else content
    return from_object(content)


def from_categories(categories: list) -> Classes:
    """COCO's categories, in the order of their ids."""
    for place, category in enumerate(categories, start=1):
        if not isinstance(category, dict) or not isinstance(category.get('name'), str):
            raise ValueError(f'category {place} has no "name", got {str(category)[:60]}')
    if all(type(category.get('id')) is int for category in categories):
        categories = sorted(categories, key=lambda category: category['id'])
    return [(category['name'], [category['name']]) for category in categories]


def from_object(content: dict) -> Classes | Mapping[str, Any]:
    """{index: name}, {name: index} or {name: words}."""
    if content and all(re.fullmatch(r'\d+', key) for key in content):
        pairs = sorted((int(key), value) for key, value in content.items())
    elif content and all(type(value) is int for value in content.values()):
        pairs = sorted((value, key) for key, value in content.items())
    else:
        return {name: without_repeats(words) for name, words in content.items()}
    check_run([index for index, _ in pairs])
    return [name for _, name in pairs]


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
    return column(rows[0], NAME_COLUMNS) is not None and len({len(row) for row in rows}) == 1


def cells(text: str) -> list[list[str]]:
    """Rows of a table whose columns are separated by tabs or commas; blank rows left out."""
    delimiter = '\t' if '\t' in text.strip().splitlines()[0] else ','
    rows = csv.reader(text.strip().splitlines(), delimiter=delimiter)
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]


def column(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Place of the first column with one of these names, whatever its case."""
    return next((place for place, cell in enumerate(header) if cell.lower() in names), None)


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
    words = [[word.strip() for word in re.split('[;,]', row[name]) if word.strip()] for row in rows]
    return [(synonyms[0], list(dict.fromkeys(synonyms))) for synonyms in words]


def check_run(numbers: Sequence[int], lines: Sequence[int] = ()) -> None:
    """Refuse numbers of classes that do not run from 0 or 1 in steps of 1."""
    for place, number in enumerate(numbers):
        if number != numbers[0] + place or numbers[0] not in (0, 1):
            where = f'line {lines[place]}: ' if lines else ''
            raise ValueError(
                f'{where}the number {number} is out of order: numbers of classes run from 0 or 1 without gaps; '
                'write one class a line, in label order, without numbers'
            )
