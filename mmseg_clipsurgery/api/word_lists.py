"""Whose words are whose: one vocabulary for all photos of a batch, or one for each.

For a single photo the words are exactly what `Vocabulary.read` takes. For a list of photos their types alone decide:

    ['cat', 'dog']                    all strings: one vocabulary, for every photo
    {'sofa': ['sofa', 'couch'], ...}  a mapping, a Vocabulary, a shipped name or a file: likewise
    [['cat', 'dog'], ['car']]         no strings: one vocabulary for each photo, as many as there are photos
    ['cat', ['sofa', 'couch']]        both: refused, since it can be read either way; synonyms go into a mapping
"""

import logging
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeAlias, TypeVar

from ..vocabulary import Vocabulary, VocabularySpec, check_characters

T = TypeVar('T')
logger = logging.getLogger('mmseg_clipsurgery')
Words: TypeAlias = 'VocabularySpec | Sequence[VocabularySpec]'


def words_for(words: Words, count: int, batch: bool) -> list[Vocabulary]:
    """The vocabulary of each of `count` photos; `batch`: whether they came as a list.

    Raises:
        ValueError, FileNotFoundError: no words, the number of lists differs from the number of photos, strings and
            lists mixed, or see `Vocabulary.read`.
    """
    if not batch or not isinstance(words, list | tuple) or all(isinstance(item, str) for item in words):
        return [given_words(words)] * count
    strings = [isinstance(item, str) for item in words]
    if any(strings):
        raise ValueError(
            'got strings and lists mixed as words of several photos; give synonyms as a mapping from class name to '
            'words, or one list of words for each photo'
        )
    if len(words) != count:
        raise ValueError(
            f'got {len(words)} lists of words for {count} photos; give one for each, or one for all'
        )
    return [given_words(spec) for spec in words]


def given_words(words: Words) -> Vocabulary:
    """The vocabulary of one photo. Raises ValueError for none, for the background alone, and as `Vocabulary.read`."""
    vocabulary = Vocabulary.read(words)
    if vocabulary is None:
        raise ValueError("got no words; give a list such as ['cat', 'grass'], a shipped name or a text file")
    if isinstance(words, list | tuple) and len(words) == 1 and ',' in vocabulary.classes[0]:
        logger.warning('%r is read as one word: give several as a list, each a string', vocabulary.classes[0])
    if vocabulary.num_classes == 1 and vocabulary.has_background:
        raise ValueError(
            f'got {vocabulary.classes[0]!r} alone, with nothing to tell it from; give at least one word beside it'
        )
    if 'background' in [name.lower() for name in vocabulary.classes[1:]]:
        log_background(vocabulary.classes)
    return vocabulary


@cache
def log_background(classes: tuple[str, ...]) -> None:
    """Log once for each list of words that its background is none."""
    logger.warning(
        "'background' is the background as the first word alone; among %s it is a word like the others",
        ', '.join(classes),
    )


def told_from(vocabulary: Vocabulary, others: Vocabulary | None) -> Vocabulary:
    """The vocabulary, then the classes of another one whose name and words it has not: what its words compete with."""
    if others is None:
        return vocabulary
    known, more = {*vocabulary.classes, *vocabulary.queries}, words_of_classes(others)
    new = [(name, [word for word in words if word not in known]) for name, words in more if name not in known]
    return Vocabulary.of([*words_of_classes(vocabulary), *((name, words) for name, words in new if words)])


def words_of_classes(vocabulary: Vocabulary) -> list[tuple[str, list[str]]]:
    """(Class name, its words), in label order."""
    pairs = list(zip(vocabulary.class_of, vocabulary.queries, strict=True))
    return [
        (name, [word for k, word in pairs if k == index]) for index, name in enumerate(vocabulary.classes)
    ]


def texts_for(text: str | Sequence[str], count: int, batch: bool) -> list[str]:
    """A text for each photo: one for all, or, for a list of photos, a list with one for each.

    Raises:
        ValueError: the number of texts differs from the number of photos, or there is no text.
    """
    if isinstance(text, str):
        return [text] * count
    if not batch or not isinstance(text, list | tuple) or not all(isinstance(item, str) for item in text):
        raise ValueError(
            f'got the text {text!r}; give a string (for a list of photos also one string for each)'
        )
    if len(text) != count:
        raise ValueError(f'got {len(text)} texts for {count} photos; give one for each, or one for all')
    return list(text)


def texts_of(text: str) -> list[str]:
    """'person+bench' -> its texts. Raises ValueError for none, an empty one, or what is no text."""
    texts = [' '.join(part.split()) for part in text.split('+')]
    if not all(texts):
        raise ValueError(f"got the text {text!r}; give a word, or several joined by + such as 'person+bench'")
    check_characters(text)
    return texts


def check_others(texts: Sequence[str], others: Vocabulary | None) -> None:
    """Refuse words that hold nothing beside a text which is to be told from them. Raises ValueError."""
    for text in texts:
        if others is not None and set(others.queries) <= {*texts_of(text)}:
            raise ValueError(f'got {text!r} to be told from itself alone; give other words, or none')


def chunks(
    items: Sequence[T], vocabularies: Sequence[Vocabulary], most: int
) -> Iterator[tuple[list[T], Vocabulary]]:
    """Runs of neighbours that share a vocabulary.

    Args:
        items, vocabularies: one vocabulary for each item.
        most: items in one run at most.
    """
    start = 0
    for stop in range(1, len(items) + 1):
        if stop == len(items) or stop - start == most or vocabularies[stop] != vocabularies[start]:
            yield list(items[start:stop]), vocabularies[start]
            start = stop
