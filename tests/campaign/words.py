"""Files of words in the forms and encodings of other tools, and lists of words from Python.

Oracle: what is accepted gives the words that went in, in their order, or what an independent reading of the file finds.
"""

import csv
import io
import json
import logging
import unicodedata
from typing import Any

import photos
from campaign.inputs import ODD, Input, altered, damaged, require
from mmseg_clipsurgery.vocabulary import Vocabulary, read_templates

import torch

SYLLABLES = [
    'ka', 'to', 'mi', 'ra', 'né', 'ßo', '猫', 'со', 'zu', 'el', 'dog', "d'a", 'x-y', 'Ω', '🐟', 'I', '7',
]  # fmt: skip
Classes = list[list[str]]  # synonyms of each class, the first is its name


def prepare() -> Any:
    return photos.model()


def trial(model: Any, given: Input) -> None:
    given.kind(file, foreign, damage, python, texts, templates)(model, given)


def file(model: Any, given: Input) -> None:
    """A form that is read, in some encoding."""
    classes = words(given)
    text, expected = given.one_of(FORMS)(classes, given)
    data = given.one_of(ENCODINGS)(text)
    path = given.folder / given.pick('words.txt', 'words', 'words.json', 'words.csv', 'my words.TXT')
    path.write_bytes(data)
    check(Vocabulary.read(path), expected)


def foreign(model: Any, given: Input) -> None:
    """A form that is not read: refused, or read rightly nevertheless."""
    classes = words(given)
    classes.append(['sofa'])  # of one line alone nobody can tell a column from a word
    text = given.one_of(FOREIGN)([one[0] for one in classes])
    path = given.folder / given.pick('words.txt', 'words.yaml', 'words', 'words.names', 'words.json')
    path.write_text(text, encoding='utf-8')
    check(Vocabulary.read(path), [one[:1] for one in classes])


def damage(model: Any, given: Input) -> None:
    """A damaged file: its lines, or its JSON, are what is accepted; no character that is none."""
    form = given.pick('lines', 'JSON list', 'JSON categories')
    text, _ = FORMS[form](words(given), given)
    data = damaged(text.encode(), given.random)
    path = given.folder / 'words.txt'
    path.write_bytes(data)
    found = Vocabulary.read(path)
    assert found is not None
    require(legible(found.queries), f'control characters in {found.queries}')
    text = data.decode('utf-8-sig')
    if text.lstrip()[:1] in ('[', '{'):
        text = ' '.join(strings(json.loads(text)))
    for name in found.classes:
        require(name in ' '.join(text.split()), f'{name!r} is not in the file')


def strings(content: Any) -> list[str]:
    """All strings of a JSON value, as they are meant: a tab is one, not its escape."""
    if isinstance(content, dict):
        content = [*content, *content.values()]
    return [one for part in content for one in strings(part)] if isinstance(content, list) else [str(content)]


def python(model: Any, given: Input) -> None:
    """Words from Python, of which one may be odd."""
    classes = words(given)
    spec: Any = given.one_of(
        {
            'list': lambda: [one if len(one) > 1 else one[0] for one in classes],
            'mapping': lambda: {one[0]: one for one in classes}, 'tuple': lambda: tuple(one[0] for one in classes),
            'odd': lambda: given.random.choice(ODD), 'bytes': lambda: classes[0][0].encode(),
            'set': lambda: {one[0] for one in classes}, 'generator': lambda: (one[0] for one in classes),
        }
    )()  # fmt: skip
    changed = isinstance(spec, list | dict) and bool(spec) and given.chance(0.5)
    if changed:
        spec = altered(spec, given.random)
    found = Vocabulary.read(spec)
    if not changed and isinstance(spec, list | dict):
        check(found, classes)
    if found is not None:
        require(all(isinstance(word, str) and word.strip() for word in found.queries), 'a word that is none')


def texts(model: Any, given: Input) -> None:
    """Words of which some are odd, asked of a model: told apart, or refused, or warned of."""
    wanted = [one[0] for one in words(given)]
    wanted.insert(given.random.randrange(len(wanted) + 1), given.one_of(TEXTS)(wanted[0]))
    warned = Records()
    logging.getLogger('mmseg_clipsurgery').addHandler(warned)
    try:
        answer = model.segment(photos.photo(16, 20), wanted)
        if given.chance(0.2):
            model.explain_text(photos.photo(16, 20), wanted[-1])
    finally:
        logging.getLogger('mmseg_clipsurgery').removeHandler(warned)
    require(answer.classes[-len(wanted) :] == tuple(' '.join(word.split()) for word in wanted), 'other words')
    embedded = model.encoders.text.embed_words(answer.classes)
    alike = (embedded @ embedded.T - 2 * torch.eye(len(embedded))).max() > 1 - 1e-7
    require(torch.isfinite(embedded).all(), 'embeddings that are not finite')
    require(not alike or warned.lines, f'two words are one for the tower: {wanted}'[:300])
    require(max(map(len, wanted)) < 300 or warned.lines, 'a long text was cut without a word')
    require(legible(wanted), f'control characters in {wanted}')


def templates(model: Any, given: Input) -> None:
    lines = [f'a {given.random.choice(SYLLABLES)} of {{}}.' for _ in range(given.random.randrange(1, 5))]
    odd = given.pick(None, 'no place', '{} {}', '{0}', '{{}}', '{word}', '{', '\0{}', '{}' * 40)
    path = given.folder / 'templates.txt'
    path.write_bytes(
        '\n'.join([*lines, *([odd] if odd else [])]).encode(given.pick('utf-8', 'utf-8-sig', 'utf-16'))
    )
    found = read_templates(path)
    require(list(found) == lines and odd is None, f'{found} from {lines}')


def legible(words: Any) -> bool:
    """Whether words have no control characters, halves of pairs, or signs of text that was decoded wrongly."""
    return not any(
        unicodedata.category(one) in ('Cc', 'Cs') or one == '\ufffd' for word in words for one in word
    )


def check(found: Vocabulary | None, classes: Classes) -> None:
    assert found is not None
    queries = [word for one in classes for word in one]
    require(found.classes == tuple(one[0] for one in classes), f'{found.classes} from {classes}'[:300])
    require(list(found.queries) == queries, f'{found.queries} from {queries}'[:300])


class Records(logging.Handler):
    """What was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def words(given: Input) -> Classes:
    """Some classes; no two words are alike."""
    made: dict[str, None] = {}
    while len(made) < given.random.randrange(3, 12):
        made[
            ' '.join(
                ''.join(given.random.choices(SYLLABLES, k=given.random.randrange(1, 4)))
                for _ in range(given.pick(1, 1, 2))
            )
        ] = None
    left, classes = [word for word in made if not word[0].isdigit()] or ['cat'], []
    while left:
        count = given.pick(1, 1, 1, 2, 3)
        classes.append(left[:count])
        left = left[count:]
    return classes


def lines(classes: Classes, given: Input) -> tuple[str, Classes]:
    """One class a line, with comments and blank lines."""
    rows = [', '.join(one) if given.chance(0.8) else f'{one[0]}: {", ".join(one)}' for one in classes]
    for _ in range(given.random.randrange(3)):
        rows.insert(given.random.randrange(len(rows) + 1), given.pick('', '  ', '# a comment', '#'))
    return given.pick('\n', '\r\n', '\r').join(rows) + given.pick('', '\n'), classes


def numbered(classes: Classes, given: Input) -> tuple[str, Classes]:
    sign, start = given.pick(' ', ': ', ', ', '\t', '=', ':'), given.pick(0, 1)
    return '\n'.join(f'{number}{sign}{one[0]}' for number, one in enumerate(classes, start)), [
        one[:1] for one in classes
    ]


def categories(classes: Classes, given: Input) -> tuple[str, Classes]:
    """COCO's, out of order, with gaps."""
    ids = sorted(given.random.sample(range(1, 200), len(classes)))
    rows = [
        {'id': number, 'name': one[0], 'supercategory': 'x'} for number, one in zip(ids, classes, strict=True)
    ]
    given.random.shuffle(rows)
    content: Any = given.random.choice(
        [rows, {'categories': rows}, {'info': {}, 'categories': rows, 'images': []}]
    )
    return json.dumps(content, ensure_ascii=given.chance(0.5)), [one[:1] for one in classes]


def objects(classes: Classes, given: Input) -> tuple[str, Classes]:
    """{index: name}, {name: index}, and these below a name."""
    names = [one[0] for one in classes]
    start = given.pick(0, 1)
    pairs = list(enumerate(names, start))
    given.random.shuffle(pairs)
    content: Any = given.pick({str(i): name for i, name in pairs}, {name: i for i, name in pairs}, names)
    if given.chance(0.5):
        content = {given.pick('names', 'id2label'): content}
    return json.dumps(content, ensure_ascii=given.chance(0.5)), [one[:1] for one in classes]


def tabular(classes: Classes, given: Input) -> tuple[str, Classes]:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=given.random.choice(',\t'), lineterminator=given.pick('\n', '\r\n'))
    writer.writerow(['Idx', 'Ratio', given.pick('Name', 'name', 'label')])
    writer.writerows([number, 0.5, ';'.join(one)] for number, one in enumerate(classes, 1))
    return stream.getvalue(), classes


FORMS = {
    'lines': lines, 'numbered': numbered,
    'JSON list': lambda classes, given: (json.dumps([one if len(one) > 1 else one[0] for one in classes]), classes),
    'JSON mapping': lambda classes, given: (json.dumps({one[0]: one for one in classes}, indent=1), classes),
    'JSON categories': categories, 'JSON objects': objects, 'table': tabular,
}  # fmt: skip
ENCODINGS = {
    'utf-8': str.encode, 'utf-8-sig': lambda text: text.encode('utf-8-sig'),
    'utf-16': lambda text: text.encode('utf-16'), 'utf-16-le': lambda text: text.encode('utf-16-le'),
    'utf-16-be': lambda text: text.encode('utf-16-be'), 'utf-32': lambda text: text.encode('utf-32'),
    'latin-1': lambda text: text.encode('latin-1' if text.isascii() or max(text) < 'Ā' else 'utf-8'),
}  # fmt: skip
FOREIGN = {
    'YAML list': lambda names: '\n'.join(f'- {name}' for name in names),
    'YAML names': lambda names: ('nc: 3\nnames:\n' + '\n'.join(f'  {i}: {name}' for i, name in enumerate(names))),
    'YAML flow': lambda names: f'names: [{", ".join(names)}]',
    'YAML document': lambda names: '---\n' + '\n'.join(names),
    'Python': lambda names: f'CLASSES = {tuple(names)!r}', 'Python tuple': lambda names: repr(tuple(names)),
    'Python list': repr, 'Python dict': lambda names: repr(dict(enumerate(names))),
    'JavaScript': lambda names: f'const words = {json.dumps(names)};',
    'XML': lambda names: '<classes>' + ''.join(f'<name>{name}</name>' for name in names) + '</classes>',
    'ini': lambda names: '[classes]\n' + '\n'.join(f'{i} = {name}' for i, name in enumerate(names)),
    'pbtxt': lambda names: '\n'.join(f"item {{\n id: {i}\n name: '{name}'\n}}" for i, name in enumerate(names)),
    'semicolons': '; '.join, 'bars': '|'.join,
    'JSON lines': lambda names: '\n'.join(json.dumps({'name': name}) for name in names),
    'JSON of rows': lambda names: json.dumps([[i, name] for i, name in enumerate(names)]),
    'JSON nested': lambda names: json.dumps({'data': {'classes': names}}),
    'JSON cut': lambda names: json.dumps(names)[:-3],
    'gaps': lambda names: '\n'.join(f'{2 * i} {name}' for i, name in enumerate(names)),
    'behind': lambda names: '\n'.join(f'{name} {i}' for i, name in enumerate(names)),
    'behind a tab': lambda names: '\n'.join(f'{name}\t{i}' for i, name in enumerate(names)),
    'behind a comma': lambda names: '\n'.join(f'{name},{i}' for i, name in enumerate(names)),
    'colours': lambda names: '\n'.join(f'{name} {i} 0 128' for i, name in enumerate(names)),
    'CSV without header': lambda names: '\n'.join(f'{i},{name},0.5' for i, name in enumerate(names)),
    'WordNet': lambda names: '\n'.join(f'n{i:08} {name}' for i, name in enumerate(names)),
    'quoted': lambda names: '\n'.join(f'"{name}",' for name in names),
    'single quotes': lambda names: '\n'.join(f"'{name}'" for name in names),
    'stars': lambda names: '\n'.join(f'* {name}' for name in names),
    'dots': lambda names: '\n'.join(f'{i}. {name}' for i, name in enumerate(names, 1)),
    'brackets': lambda names: '\n'.join(f'{i}) {name}' for i, name in enumerate(names)),
    'web page': lambda names: f'<!DOCTYPE html>\n<p>{"<br>".join(names)}</p>',
    'labelme': lambda names: '__ignore__\n_background_\n' + '\n'.join(names),
    'Git LFS': lambda names: 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
    'two columns': lambda names: '\n'.join(f'{name}\t{name.upper()}' for name in names),
}  # fmt: skip
TEXTS = {
    'plain': lambda word: word + ' again', 'the same': lambda word: word, 'other case': str.upper,
    'longer than the context': lambda word: 'a very long text about ' * 40 + word, 'one letter': lambda word: 'x',
    'control': lambda word: f'{word}\x07', 'null': lambda word: f'{word}\0',
    'surrogate': lambda word: word + '\ud800', 'invisible': lambda word: word + '\u200b',
    'only invisible': lambda word: '\u200b\u200d', 'right to left': lambda word: '\u202e' + word,
    'emoji': lambda word: '🐟' * 5, 'blank': lambda word: ' ', 'no-break blank': lambda word: '\xa0' + word,
    'markup': lambda word: f'<|startoftext|>{word}<|endoftext|>', 'entity': lambda word: f'{word} &amp; more',
    'accents apart': lambda word: word + ' e\u0301', 'background': lambda word: 'background',
    'punctuation': lambda word: '?!',
}  # fmt: skip
