"""Words and templates: from what a user writes to what the text encoder reads.

A vocabulary is an ordered list of classes, each with one word or several (synonyms). Every word is one text
query, and a class scores the maximum over its queries. A template is a sentence with one `{}` for the word; a word's
embedding is the average over the templates.

Text file of a vocabulary, UTF-8, one class a line:

    aeroplane                      the class 'aeroplane', asked for by its name
    sofa, couch                    the class 'sofa', asked for by two words
    background: sky, wall, tree    the class 'background', asked for by three words, its name not among them
    house: "building, edifice"     the class 'house', asked for by one word, which holds a comma
    # a line that starts with # is a comment; blank lines, a byte order mark and CRLF are tolerated

Files of other forms (JSON, numbered lines, COCO's categories, ADE20K's objectInfo): see `word_files`.

Text file of templates: one a line, comments as above.

The same word may stand in two classes (COCO-Object's 'bed' is also one of the leaderboard's words for its
background): such classes tie wherever that word is the best, and the earlier one wins. Class names are unique, and so
are the words of one class. Words keep their case; runs of white space count as one blank.
"""

import logging
import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

from .environment.paths import user_path
from .resources import RESOURCES
from .word_files import parse_words

MOST_BYTES = 64 << 20  # of a text file
logger = logging.getLogger('mmseg_clipsurgery')

VocabularySpec: TypeAlias = 'Vocabulary | str | PathLike[str] | Sequence[Any] | Mapping[str, Any] | None'
TemplatesSpec: TypeAlias = 'str | PathLike[str] | Sequence[str]'


@dataclass(frozen=True)
class Vocabulary:
    """Classes and their text queries.

    classes: class names, unique, in label order.
    queries: words, in the order in which they are encoded.
    class_of: index of the class of each query.

    Raises ValueError: there is no class, a class has no query, a name or word is empty, or one is repeated.
    """

    classes: tuple[str, ...]
    queries: tuple[str, ...]
    class_of: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.classes:
            raise ValueError('got an empty vocabulary, give at least one class')
        if len(self.queries) != len(self.class_of):
            raise ValueError(f'got {len(self.queries)} queries but {len(self.class_of)} entries in class_of')
        if set(self.class_of) != set(range(self.num_classes)):
            raise ValueError(
                f'class_of must use every index from 0 to {self.num_classes - 1}, got {self.class_of}'
            )
        if '' in self.classes or '' in self.queries:
            raise ValueError('got an empty word, remove it or write what it should be')
        if name := _repeated(self.classes):
            raise ValueError(f'got two classes named {name!r}, write them as one class or name them apart')
        if pair := _repeated(tuple(zip(self.class_of, self.queries, strict=True))):
            raise ValueError(f'got the word {pair[1]!r} twice in class {self.classes[pair[0]]!r}, remove one')

    @property
    def num_classes(self) -> int:
        """Number of classes, background included."""
        return len(self.classes)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels: the classes; one word alone has the labels ('background', word)."""
        return self.classes if self.num_classes > 1 else ('background', *self.classes)

    @property
    def has_background(self) -> bool:
        """Whether class 0 is the background, as its name says."""
        return self.classes[0].lower() == 'background'

    @classmethod
    def of(cls, words_of_class: Sequence[tuple[str, Sequence[str]]]) -> 'Vocabulary':
        """Build from (class name, its words) pairs, in label order."""
        queries = tuple(word for _, words in words_of_class for word in words)
        class_of = tuple(k for k, (_, words) in enumerate(words_of_class) for _ in words)
        return cls(tuple(name for name, _ in words_of_class), queries, class_of)

    @classmethod
    def read(cls, spec: VocabularySpec) -> 'Vocabulary | None':
        """Read a vocabulary from any of the forms a config or a Python user may write.

        spec: one of `resource_names('vocabularies')`, the path of a text file, a list whose items are a word or
            a list of synonyms (the first names the class), a mapping from class name to word or words, a Vocabulary,
            or None, which stays None: the words come later.

        Raises ValueError for an unknown name, a wrong type or bad words, FileNotFoundError for a missing file.
        """
        if spec is None or isinstance(spec, Vocabulary):
            return spec
        if isinstance(spec, (str, PathLike)):
            return cls._read_file(_locate(spec, 'vocabularies'))
        if isinstance(spec, Mapping):
            return cls.of([(_clean(name), _words(words)) for name, words in spec.items()])
        if isinstance(spec, Sequence) and not isinstance(spec, (bytes, bytearray)):
            return cls.of([_name_by_first(_words(words)) for words in spec])
        kind = type(spec).__name__
        raise ValueError(
            f'got a vocabulary of type {kind}, give a shipped name, a text file, a list or a mapping'
        )

    @classmethod
    def parse(cls, text: str) -> 'Vocabulary':
        """The vocabulary that a text file holds. Raises ValueError for bad words, with the line."""
        found = parse_words(text)
        if isinstance(found, Mapping):
            return cls.of([(_clean(name), _words(words)) for name, words in found.items()])
        pairs = [item if isinstance(item, tuple) else _name_by_first(_words(item)) for item in found]
        return cls.of([(_clean(name), _words(words)) for name, words in pairs])

    @classmethod
    def _read_file(cls, path: Path) -> 'Vocabulary':
        try:
            found = cls.parse(read_text(path))
        except ValueError as error:
            raise ValueError(f'in {path}: {error}') from None
        if joined := [word for word in found.queries if '_' in word]:
            logger.warning(
                '%s: %d words hold an underscore, which a CLIP reads as a sign of its own, first %r; write a blank',
                path,
                len(joined),
                joined[0],
            )
        return found


def read_templates(spec: TemplatesSpec) -> tuple[str, ...]:
    """Read sentence templates, each with exactly one `{}` where the word goes.

    spec: a shipped name (`resource_names('templates')`), one template, a list of them, or the path of a text file.

    Raises ValueError for an unknown name, a wrong type or a template without exactly one `{}`, FileNotFoundError for
    a missing file.
    """
    if isinstance(spec, str) and '{' in spec:
        templates: Sequence[Any] = [spec]
    elif isinstance(spec, (str, PathLike)):
        templates = read_lines(_locate(spec, 'templates'))
    elif isinstance(spec, Sequence) and not isinstance(spec, (bytes, bytearray)):
        templates = spec
    else:
        raise ValueError(
            f'got templates of type {type(spec).__name__}, give a shipped name, a text file or a list'
        )
    if not templates:
        raise ValueError("got no templates, give at least one, for instance '{}'")
    return tuple(_check_template(template) for template in templates)


def resource_names(kind: str) -> tuple[str, ...]:
    """Names of what travels with the package; kind: 'vocabularies' or 'templates'."""
    return tuple(sorted(path.stem for path in (RESOURCES / kind).glob('*.txt')))


def class_names(spec: VocabularySpec) -> tuple[str, ...]:
    """Class names of a vocabulary, in label order; spec as `Vocabulary.read` takes it, not None."""
    vocabulary = Vocabulary.read(spec)
    assert vocabulary is not None
    return vocabulary.classes


def _locate(spec: 'str | PathLike[str]', kind: str) -> Path:
    """Path of a shipped name or of the user's own file; a shipped name wins over a file of the same name."""
    name = fspath(spec)
    if name in resource_names(kind):
        return RESOURCES / kind / f'{name}.txt'
    path = user_path(name) if name else Path()
    if path.is_file():
        return path
    what = kind.replace('vocabularies', 'vocabulary')
    remedy = (
        f'give a list, an existing text file or one of the shipped names {", ".join(resource_names(kind))}'
    )
    if path.suffix or len(path.parts) > 1 or not isinstance(spec, str):
        raise FileNotFoundError(f'got the {what} file {name!r}, which is not a file: {remedy}')
    one = f'write [{name!r}] for that one word, or {remedy}' if what == 'vocabulary' else remedy
    raise ValueError(f'got the unknown {what} name {name!r}: {one}')


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without comments and blank ones."""
    stripped = (line.strip() for line in read_text(path).splitlines())
    return [line for line in stripped if line and not line.startswith('#')]


def read_text(path: Path) -> str:
    """A text file without its byte order mark. Raises ValueError where it is not UTF-8, or too large for a list."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(
            f'got {path} of {path.stat().st_size:,} bytes, and a list has at most {MOST_BYTES:,}; divide it'
        )
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError:
        raise ValueError(f'got {path}, which is not UTF-8 text: save it as UTF-8') from None
    if '\0' in text:
        raise ValueError(f'got {path}, which holds null characters, as UTF-16 does: save it as UTF-8')
    return text


def _name_by_first(words: list[str]) -> tuple[str, list[str]]:
    return words[0], words


def _words(words: Any) -> list[str]:
    """Words of one class, from one word or a list of synonyms."""
    if isinstance(words, str):
        words = [words]
    if not isinstance(words, Sequence) or isinstance(words, (bytes, bytearray)):
        raise ValueError(f'got a class of type {type(words).__name__}, give a word or a list of synonyms')
    if not words:
        raise ValueError('got a class without words, give at least one')
    return [_clean(word) for word in words]


def _clean(word: Any) -> str:
    if not isinstance(word, str):
        raise ValueError(f'got {word!r} of type {type(word).__name__} where a word (str) is expected')
    word = ' '.join(word.split())
    check_characters(word)
    return word


def check_characters(text: str) -> None:
    """Refuse what no text has: control characters, halves of surrogate pairs, U+FFFD of what was decoded wrongly.

    Raises:
        ValueError: the text holds one of these.
    """
    for character in text:
        strange = character == '\ufffd' or unicodedata.category(character) in ('Cc', 'Cs')
        if strange and not character.isspace():
            raise ValueError(
                f'got the text {text[:60]!r}, whose {character!r} is no character of a text; remove it, or decode '
                'the text as UTF-8'
            )


def _repeated(items: Sequence[Hashable]) -> Any:
    """The first item that stands there a second time, or None."""
    seen: set[Hashable] = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None


def _check_template(template: Any) -> str:
    if not isinstance(template, str):
        raise ValueError(f'got a template of type {type(template).__name__}, give a str')
    if template.count('{') != 1 or template.count('}') != 1 or '{}' not in template:
        raise ValueError(f'got the template {template!r}, which must contain exactly one {{}} for the word')
    check_characters(template)
    return template
