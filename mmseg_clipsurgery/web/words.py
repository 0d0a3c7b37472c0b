"""What a visitor types as words -> a vocabulary.

cat, dog, grass                 one line: each word between commas is a class
cat                             several lines, or one with a colon: a class a line, as in a vocabulary file,
sofa, couch                     with its synonyms
background: sky, wall
"""

from ..vocabulary import Vocabulary
from .limits import Limits


def read_words(text: str, limits: Limits) -> Vocabulary:
    """The vocabulary of a text.

    Raises:
        ValueError: no words, too many, or see `Vocabulary`.
    """
    limits.check_text(text)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError('got no words; type some, separated by commas, such as cat, dog, grass')
    if len(lines) == 1 and ':' not in text and text.lstrip()[0] not in '[{':
        words = [word for word in lines[0].split(',') if word.strip()]
        limits.check_words(len(words))
        vocabulary = Vocabulary.read(words)
        assert vocabulary is not None
    else:
        vocabulary = Vocabulary.parse(text)
    limits.check_words(len(vocabulary.queries))
    return vocabulary


def synonyms_told(vocabulary: Vocabulary) -> str:
    """Which classes have other words than their name: 'sofa (sofa, couch)'; empty where none has."""
    found = []
    for index, name in enumerate(vocabulary.classes):
        words = [word for word, k in zip(vocabulary.queries, vocabulary.class_of, strict=True) if k == index]
        if words != [name]:
            found.append(f'{name} ({", ".join(words)})')
    return '; '.join(found)
