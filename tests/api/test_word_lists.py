"""Whose words are whose: types alone decide."""

from mmseg_clipsurgery.api.word_lists import chunks, texts_for, texts_of, told_from, words_for
from mmseg_clipsurgery.api.word_relevance import words_of
from mmseg_clipsurgery.vocabulary import Vocabulary

import pytest

A, B = Vocabulary.read(['cat', 'dog']), Vocabulary.read(['car'])
SHARED = {
    'list of words': ['cat', 'dog'],
    'mapping': {'cat': 'cat', 'dog': ['dog']},
    'vocabulary': A,
    'tuple': ('cat', 'dog'),
}


@pytest.mark.parametrize('words', SHARED.values(), ids=SHARED.keys())
@pytest.mark.parametrize(('count', 'batch'), [(1, False), (1, True), (2, True)])
def test_one_vocabulary_for_all(words, count, batch):
    assert words_for(words, count, batch) == [A] * count


def test_shipped_names_and_files(tmp_path):
    (tmp_path / 'mine.txt').write_text('cat\ndog\n')
    assert words_for(str(tmp_path / 'mine.txt'), 2, True) == [A, A]
    assert words_for(tmp_path / 'mine.txt', 1, False) == [A]
    assert words_for('voc20', 1, False)[0].num_classes == 20
    assert words_for([tmp_path / 'mine.txt', ['car']], 2, True) == [A, B]
    assert words_for(['voc20', 'scenes'], 2, True)[0].classes == ('voc20', 'scenes')  # strings are words


def test_a_list_of_lists_is_synonyms_for_one_photo_and_word_lists_for_several():
    words = [['cat', 'dog'], ['car']]
    assert words_for(words, 2, True) == [A, B]
    assert words_for(words, 1, False)[0].classes == ('cat', 'car')
    assert words_for([A, {'car': 'car'}], 2, True) == [A, B]


@pytest.mark.parametrize(
    ('words', 'count', 'message'),
    [
        pytest.param(None, 1, 'got no words', id='none'),
        pytest.param([], 2, 'empty vocabulary', id='empty'),
        pytest.param([['cat'], []], 2, 'empty vocabulary', id='empty for one photo'),
        pytest.param([['cat'], None], 2, 'got no words', id='none for one photo'),
        pytest.param(['cat', ['dog', 'puppy']], 2, 'mixed as words of several photos', id='mixed'),
        pytest.param([['cat'], ['dog']], 3, '2 lists of words for 3 photos', id='count'),
        pytest.param(7, 2, 'type int', id='number'),
    ],
)
def test_mistakes(words, count, message):
    with pytest.raises(ValueError, match=message):
        words_for(words, count, True)


def test_texts():
    assert texts_for('cat', 2, True) == ['cat', 'cat']
    assert texts_for(['cat', 'dog'], 2, True) == ['cat', 'dog']
    assert texts_of(' person +a  park bench') == ['person', 'a park bench']
    for wrong, batch in ((['cat'], False), (['cat', None], True), (None, False)):
        with pytest.raises(ValueError, match='give a string'):
            texts_for(wrong, 2, batch)
    for wrong in ('', '+', 'cat+', 'cat++dog'):
        with pytest.raises(ValueError, match='give a word'):
            texts_of(wrong)


def test_chunks_hold_neighbours_with_the_same_words():
    parts = list(chunks(list('abcdefg'), [A, A, A, B, B, A, A], 2))
    assert parts == [(['a', 'b'], A), (['c'], A), (['d', 'e'], B), (['f', 'g'], A)]


@pytest.mark.parametrize(
    'text', ['a\0b', 'a \udce9', '\ud83d'], ids=['null', 'byte of Latin-1', 'half a pair']
)
def test_what_is_no_text_is_refused(text):
    with pytest.raises(ValueError, match='is no character of a text; remove it, or decode the text as UTF-8'):
        texts_of(text)
    with pytest.raises(ValueError, match='is no character of a text'):
        words_of(text)


@pytest.mark.parametrize('words', [['background'], {'Background': ['sky', 'wall']}], ids=['list', 'synonyms'])
def test_the_background_alone_is_refused(words):
    with pytest.raises(ValueError, match=r"got '[Bb]ackground' alone, with nothing to tell it from"):
        words_for(words, 1, batch=False)


def test_words_to_be_told_from_come_after_and_once():
    asked = Vocabulary.read([['cat', 'tom'], 'dog'])
    assert told_from(asked, None) is asked
    others = Vocabulary.read(['dog', 'sky', ['tom', 'male'], ['cat', 'kitten']])
    joint = told_from(asked, others)
    assert joint == Vocabulary.of([('cat', ['cat', 'tom']), ('dog', ['dog']), ('sky', ['sky'])])
    assert told_from(asked, Vocabulary.read({'pet': ['tom', 'hamster']})).queries[-1] == 'hamster'


def test_a_background_that_is_not_the_first_word_is_told_once(caplog):
    with caplog.at_level('WARNING', logger='mmseg_clipsurgery'):
        words_for(['background', 'zebra', 'fish'], 1, False)
        assert not caplog.records
        for _ in range(2):
            words_for(['zebra', 'fish', 'Background'], 1, False)
    (record,) = caplog.records
    assert (
        'as the first word alone; among zebra, fish, Background it is a word like the others'
        in record.getMessage()
    )
