"""What visitors type: the two ways to write words, and what is refused in a sentence."""

from mmseg_clipsurgery.vocabulary import Vocabulary
from mmseg_clipsurgery.web.limits import Limits
from mmseg_clipsurgery.web.words import read_words, synonyms_told

import pytest


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('cat, dog', [('cat', ['cat']), ('dog', ['dog'])]),
        ('  cat ,, a  red car,\n', [('cat', ['cat']), ('a red car', ['a red car'])]),
        ('cat', [('cat', ['cat'])]),
        ('cat\nsofa, couch', [('cat', ['cat']), ('sofa', ['sofa', 'couch'])]),
        ('background: sky, wall', [('background', ['sky', 'wall'])]),
    ],
    ids=['commas', 'blanks', 'one word', 'a class a line', 'a colon'],
)
def test_words_are_read(text, expected):
    assert read_words(text, Limits()) == Vocabulary.of(expected)


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', 'got no words'),
        (' \n ', 'got no words'),
        (', ,', 'empty vocabulary'),
        (', '.join(f'w{i}' for i in range(1000)), 'got 1,000 words and the page takes 200'),
        ('\n'.join(f'w{i}' for i in range(201)), 'got 201 words'),
        ('cat: ' + ', '.join(f'w{i}' for i in range(201)), 'got 201 words'),
        ('x' * 30_000, 'got 30,000 characters|has 30,000 characters'),
        ('cat, cat', "two classes named 'cat'"),
        ('cat\0', 'no character of a text'),
    ],
    ids=['none', 'blank', 'commas', '1,000 words', 'lines', 'synonyms', 'long', 'twice', 'null'],
)
def test_bad_words_get_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_words(text, Limits())


def test_synonyms_are_told():
    assert synonyms_told(read_words('cat\nsofa, couch', Limits())) == 'sofa (sofa, couch)'
    assert synonyms_told(read_words('cat, dog', Limits())) == ''
