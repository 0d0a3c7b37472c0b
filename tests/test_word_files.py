"""Word files of other tools and data sets: read for what they are, or refused with the line."""

from mmseg_clipsurgery.vocabulary import Vocabulary

import pytest

ANIMALS = ('cat', 'dog', 'fish')
READ = {
    'lines': 'cat\ndog\nfish\n',
    'numbered from 0': '0 cat\n1 dog\n2 fish\n',
    'numbered from 1, colons': '1: cat\n2: dog\n\n# and\n3: fish',
    'numbered, commas': '0, cat\n1, dog\n2, fish',
    'numbered, tabs': '0\tcat\n1\tdog\n2\tfish',
    'JSON list': '["cat", "dog", "fish"]',
    'JSON list over lines': '\n[\n  "cat",\n  "dog",\n  "fish"\n]\n',
    'index to name': '{"0": "cat", "2": "fish", "1": "dog"}',
    'name to index': '{"fish": 3, "cat": 1, "dog": 2}',
    'name to words': '{"cat": ["cat"], "dog": "dog", "fish": ["fish"]}',
    'COCO': '{"images": [], "categories": [{"id": 7, "name": "dog"}, {"id": 1, "name": "cat"}, '
    '{"id": 9, "name": "fish"}]}',
    'COCO list': '[{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "fish"}]',
    'categories without ids': '[{"name": "cat"}, {"name": "dog"}, {"name": "fish"}]',
    'names': '{"nc": 3, "names": ["cat", "dog", "fish"]}',
    'id2label': '{"id2label": {"0": "cat", "1": "dog", "2": "fish"}}',
    'CSV': 'id,name\n0,cat\n1,dog\n2,fish\n',
    'CSV without ids': 'color,Name\nred,cat\nblue,dog\ngreen,fish\n',
    'objectInfo': 'Idx\tRatio\tVal\tName\n1\t0.1\t1\tcat\n2\t.1\t0\tdog\n3\t.1\t0\tfish',
}


@pytest.mark.parametrize('text', READ.values(), ids=READ.keys())
def test_common_forms_are_read(text, tmp_path):
    (tmp_path / 'words.txt').write_text(text)
    vocabulary = Vocabulary.read(tmp_path / 'words.txt')
    assert vocabulary.classes == vocabulary.queries == ANIMALS


def test_indices_are_sorted_as_numbers(tmp_path):
    (tmp_path / 'words.json').write_text('{' + ', '.join(f'"{k}": "word {k}"' for k in range(12)) + '}')
    assert Vocabulary.read(tmp_path / 'words.json').classes == tuple(f'word {k}' for k in range(12))


@pytest.mark.parametrize(
    'text',
    [
        '[["sofa", "couch"], "cat"]',
        '{"sofa": ["sofa", "couch"], "cat": "cat"}',
        '0 sofa, couch\n1 cat',
        'id,name\n0,sofa;couch\n1,cat',
        'Idx\tName\n1\tsofa, couch\n2\tcat',
    ],
    ids=['JSON list', 'JSON object', 'numbered', 'CSV', 'tabs'],
)
def test_synonyms(text, tmp_path):
    (tmp_path / 'words').write_text(text)
    assert Vocabulary.read(tmp_path / 'words') == Vocabulary.read([['sofa', 'couch'], 'cat'])


def test_prompts_of_a_language_model_are_words_of_their_class(tmp_path):
    (tmp_path / 'cupl.json').write_text(
        '{"fish": ["a fish", "fish scales", "a fish"], "sky": ["A sky is blue: up."]}'
    )
    found = Vocabulary.read(tmp_path / 'cupl.json')
    assert found == Vocabulary.read({'fish': ['a fish', 'fish scales'], 'sky': ['A sky is blue: up.']})


def test_a_word_may_start_with_a_number(tmp_path):
    (tmp_path / 'words').write_text('2 door car\nbus\n')
    assert Vocabulary.read(tmp_path / 'words').classes == ('2 door car', 'bus')


REFUSED = {
    'half a JSON list': ('["cat", "dog"\n', 'it starts as JSON and is none: .*line 2'),
    'categories without names': ('[{"id": 1}]', 'category 1 has no "name"'),
    'a gap': ('0 cat\n\n2 dog', 'line 3: the number 2 is out of order'),
    'from 5': ('5 cat\n6 dog', 'line 1: the number 5 is out of order'),
    'a gap in JSON': ('{"0": "cat", "2": "dog"}', 'the number 2 is out of order'),
    'a number among names': ('cat\n3: dog', "line 2, '3: dog', is no class"),
    'YAML': ('path: data\nnames:\n  0: cat\n', "line 2, 'names:', is no class"),
    'YAML list': ('- cat\n- dog', "line 1, '- cat', is no class"),
    'pbtxt': ("item {\n  id: 1\n  name: 'cat'\n}", "line 1, 'item {', is no class"),
    'XML': ('<name>cat</name>', 'line 1, .* is no class'),
    'Python': ('CLASSES = ["cat"]', 'line 1, .* is no class'),
    'semicolons': ('cat\nsofa;couch', "line 2, 'sofa;couch', is no class"),
    'quotes': ('"cat"\n"dog"', 'line 1, .* is no class'),
    'a table without a name': ('id,name\n1,\n', 'row 2 has no name'),
    'nested JSON': ('{"cat": {"id": 1}}', 'got a class of type dict'),
    'deep JSON': ('[' * 100_000, 'it starts as JSON and is none'),
}


@pytest.mark.parametrize(('text', 'message'), REFUSED.values(), ids=REFUSED.keys())
def test_other_forms_are_refused_with_the_line(text, message, tmp_path):
    (tmp_path / 'words.txt').write_text(text)
    with pytest.raises(ValueError, match=rf'words\.txt: {message}'):
        Vocabulary.read(tmp_path / 'words.txt')


def test_yaml_is_refused_by_its_name(tmp_path):
    (tmp_path / 'data.yaml').write_text('cat: kitten\n')
    with pytest.raises(ValueError, match='YAML is not read'):
        Vocabulary.read(tmp_path / 'data.yaml')
