"""Word files of other tools and data sets: read for what they are, or refused with the line."""

import json
import time
from contextlib import suppress

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
    'Detectron2': '{"thing_classes": ["cat", "dog", "fish"], "thing_colors": [[1, 2, 3]]}',
    'classes and colours': '{"CLASSES": ["cat", "dog", "fish"], "PALETTE": [[1, 2, 3]]}',
    'label2id': '{"label2id": {"cat": 0, "fish": 2, "dog": 1}}',
    'CVAT': '{"labels": [{"name": "cat", "color": "#fff"}, {"name": "dog"}, {"name": "fish"}]}',
    'Mapillary': '{"labels": [{"name": "animal--cat", "readable": "cat"}, {"name": "dog"}, {"name": "fish"}]}',
    'ImageNet': '{"0": ["n02121620", "cat"], "1": ["n02084071", "dog"], "2": ["n02512053", "fish"]}',
    'WordNet': 'n02121620 cat\nn02084071 dog\nn02512053 fish\n',
    'Open Images': '/m/01yrx,cat\n/m/0bt9lr,dog\n/m/0ch_cf,fish\n',
    'Open Images with a header': 'LabelName,DisplayName\n/m/01yrx,cat\n/m/0bt9lr,dog\n/m/0ch_cf,fish\n',
    "CVAT's label map": '# label:color_rgb:parts:actions\ncat:0,0,0::\ndog:128,0,0::\nfish:::\n',
    'YAML list': '---\nnames:\n- cat\n- dog\n- "fish"\nnc: 3\n',
    'YAML list in brackets': "path: ../data\nnc: 3\nnames: ['cat', 'dog', fish]  \n",
    'YAML numbered': 'train: images\nnames:\n  0: cat\n  1: dog\n  # and\n  2: fish\nval: other\n',
    'bullets': '- cat\n- dog\n- fish\n',
    'other bullets': '* cat\n* dog\n* fish\n',
    'numbered with points': '1. cat\n2. dog\n3. fish\n',
    'numbered with brackets': '0) cat\n1) dog\n2) fish\n',
    'numbers behind': 'cat,0\ndog,1\nfish,2\n',
    'numbers behind colons': 'cat: 1\ndog: 2\nfish: 3\n',
    'numbers behind blanks': 'cat 0\ndog 1\nfish 2\n',
    'quotes': '"cat"\n"dog",\n"fish"',
    'single quotes and commas': "'cat',\n'dog',\n'fish',\n",
    'commas behind': 'cat,\ndog,\nfish,\n',
    'byte order mark and CRLF': '\ufeffcat\r\ndog\r\nfish\r\n',
    'YAML with comments': 'nc: 3 # three\nnames: # all\n  0: cat # a pet\n  1: "dog" # too\n  2: fish\nval: x\n',
    'YAML list over lines': "nc: 3\nnames: ['cat', 'dog', # two\n  fish] # all\nval: x\n",
    'YAML map in braces': 'names: {0: cat, 1: dog, 2: fish}\n',
    'YAML with keys in quotes': "class_names:\n  '0': cat\n  '1': dog\n  '2': fish\n",
    'YAML below other keys': "info:\n  label:\n    names:\n      '0': cat\n      '1': dog\n      '2': fish\n  n: 3\n",
    "WordNet's ids as keys": '{"n02121620": "cat", "n02084071": "dog", "n02512053": "fish"}',
    'WordNet behind': 'cat n02121620\ndog n02084071\nfish n02512053\n',
    'COCO with ids in quotes': '[{"id": "10", "name": "fish"}, {"id": "2", "name": "dog"}, {"id": "1", "name": "cat"}]',
    'keys with blanks': '{" 0": "cat", "1 ": "dog", "2": "fish"}',
    'CSV of class_id': 'class_id,class_name\n0,cat\n1,dog\n2,fish\n',
    'TSV of Label Name': 'Category ID\tLabel Name\n0\tcat\n1\tdog\n2\tfish\n',
    'objectInfo': 'Idx\tRatio\tVal\tName\n1\t0.1\t1\tcat\n2\t.1\t0\tdog\n3\t.1\t0\tfish',
}


@pytest.mark.parametrize('text', READ.values(), ids=READ.keys())
def test_common_forms_are_read(text, tmp_path):
    (tmp_path / 'words.txt').write_text(text)
    vocabulary = Vocabulary.read(tmp_path / 'words.txt')
    assert vocabulary.classes == vocabulary.queries == ANIMALS


@pytest.mark.parametrize(
    'text',
    [
        "names:\n- d'ato\n- 'cats'' tail'\n- \"o'clock\"\n",
        "names:\n  0: d'ato\n  1: 'cats'' tail'\n  2: \"o'clock\"\n",
        "names: [d'ato, 'cats'' tail', \"o'clock\"]\n",
    ],
    ids=['bullets', 'numbers', 'brackets'],
)
def test_apostrophes_in_yaml_stay(text, tmp_path):
    (tmp_path / 'words.yaml').write_text(text)
    assert Vocabulary.read(tmp_path / 'words.yaml').classes == ("d'ato", "cats' tail", "o'clock")


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
        'id,name,synonyms\n0,sofa,couch\n1,cat,\n',
    ],
    ids=['JSON list', 'JSON object', 'numbered', 'CSV', 'tabs', 'a column of synonyms'],
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


def test_categories_of_lvis_are_asked_for_by_their_synonyms(tmp_path):
    rows = [
        {'id': 2, 'name': 'bow_(weapon)', 'synonyms': ['bow_(weapon)']},
        {'id': 1, 'name': 'aerosol_can', 'synonyms': ['aerosol_can', 'spray_can'], 'synset': 'aerosol.n.02'},
    ]
    (tmp_path / 'lvis.json').write_text(json.dumps({'images': [], 'categories': rows}))
    found = Vocabulary.read(tmp_path / 'lvis.json')
    assert found == Vocabulary.read(
        {'aerosol_can': ['aerosol can', 'spray can'], 'bow_(weapon)': 'bow (weapon)'}
    )


def test_underscores_are_warned_of(tmp_path, caplog):
    (tmp_path / 'words').write_text('cat\ndining_table\n')
    with caplog.at_level('WARNING', logger='mmseg_clipsurgery'):
        assert Vocabulary.read(tmp_path / 'words').classes == ('cat', 'dining_table')
    assert (
        "1 words hold an underscore, which a CLIP reads as a sign of its own, first 'dining_table'"
        in caplog.text
    )


def test_a_cell_in_quotes_is_one_word(tmp_path):
    (tmp_path / 'words.csv').write_text('id,name\n0,cat\n1,"air, drumming"\n')
    assert Vocabulary.read(tmp_path / 'words.csv').queries == ('cat', 'air, drumming')


@pytest.mark.parametrize('part', ['a: ', '1 ', '"a,', 'a, ', '"', ' ', '\t', "'", '- '], ids=repr)
def test_a_line_of_many_signs_takes_no_long_time(part, tmp_path):
    (tmp_path / 'words').write_text(f'a{part * 5_000}1 b\na{part * 5_000}1 b')
    started = time.process_time()
    with suppress(ValueError):
        Vocabulary.read(tmp_path / 'words')
    assert time.process_time() - started < 1  # 30 and more where an expression goes back at every sign


def test_a_file_of_gigabytes_is_no_list(tmp_path):
    with (tmp_path / 'words').open('wb') as file:
        file.truncate(1 << 31)
    with pytest.raises(ValueError, match='2,147,483,648 bytes'):
        Vocabulary.read(tmp_path / 'words')


def test_a_word_that_holds_commas_stands_in_quotes(tmp_path):
    (tmp_path / 'words').write_text('house:"building,  edifice", hut\n"sofa, couch"\n')
    vocabulary = Vocabulary.read(tmp_path / 'words')
    assert vocabulary.classes == ('house', 'sofa, couch')
    assert vocabulary.queries == ('building, edifice', 'hut', 'sofa, couch')


WORDS = {
    'number first': ['2 door car', 'bus'],
    'numbers behind the same word': ['gate 1', 'gate 2'],
    'a number behind one word': ['route 66', 'bus'],
    'numbers behind each': ['route 66', 'boeing 747'],
    'digits alone': ['0', '7', '3'],
    'a hyphen': ['t-shirt', 'x-ray'],
    'a slash': ['bicycle/motorcycle', 'and/or'],
    'other scripts': ['猫', 'кошка', '😀'],
    'a header further down': ['cat', 'label'],
}


@pytest.mark.parametrize('words', WORDS.values(), ids=WORDS.keys())
def test_words_that_only_look_like_another_form(words, tmp_path):
    (tmp_path / 'words').write_text('\n'.join(words), encoding='utf-8')
    assert Vocabulary.read(tmp_path / 'words').classes == tuple(words)


REFUSED = {
    'half a JSON list': ('["cat", "dog"\n', 'it starts as JSON and is none: .*line 2'),
    'categories without names': ('[{"id": 1}]', 'category 1 has no "name"'),
    'a gap': ('0 cat\n\n2 dog', 'line 3: the number 2 is out of order'),
    'from 5': ('5 cat\n6 dog', 'line 1: the number 5 is out of order'),
    'a gap in JSON': ('{"0": "cat", "2": "dog"}', 'the number 2 is out of order'),
    'a number among names': ('cat\n3: dog', "line 2, '3: dog', is no class"),
    'YAML of another form': (
        'classes:\n  sofa: [sofa, couch]\n',
        "line 2, 'sofa: .sofa, couch.', is no class",
    ),
    'YAML that is nested': ('names:\n  cat:\n    id: 1\n', 'line 2, .* has an empty word'),
    'LabelMe of lines': ('__ignore__\ncat', "line 1, '__ignore__', is no class"),
    'LabelMe without __ignore__': ('_background_\ncat', "line 1, '_background_', is no class"),
    'a negative number': ('-1 ignore\n0 cat', 'line 1: the number -1 is out of order'),
    'a negative number in JSON': ('{"-1": "ignore", "0": "cat"}', 'the number -1 is out of order'),
    'a key twice': ('{"0": "cat", "0": "dog"}', '.*the key "0" stands there twice'),
    'an id twice': ('[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]', 'two categories have the id 1'),
    'colours in JSON': ('{"cat": "#ff0000", "dog": "#0f0"}', '"cat" holds a colour'),
    'a header of two columns': ('class_id,title\n0,cat', "line 1, 'class_id,title', looks like the header"),
    'Markdown': ('**cat**\n**dog**', r"line 1, '..cat..', is no class"),
    'a comment of LaTeX': ('% animals\ncat', "line 1, '% animals', is no class"),
    'paths of Places': ('/a/airfield 0\n/b/beach 1', "line 1, '/a/airfield', is no class"),
    'folders of Caltech': ('001.ak47\n002.flag', "line 1, '001.ak47', is no class"),
    'Mapillary without readable names': ('object--animal--bird', 'line 1, .* is no class'),
    'an open YAML list': ('names: [cat,\n dog\n', "line 1, 'names: .cat,', is no class"),
    'quotes around an apostrophe': ("'cat'\n'the dog's'", 'line 1, .* is no class'),
    "Python's tuple": ("('cat', 'dog')", 'line 1, .* is no class'),
    'bullets in part': ('- cat\ndog', "line 1, '- cat', is no class"),
    'numbers in part': ('1. cat\ndog', "line 1, '1. cat', is no class"),
    'two columns': ('cat\tkitten\ndog\tpuppy', r"line 1, 'cat.*kitten', is no class"),
    'colours behind': ('cat 128 0 0\ndog 0 128 1', 'line 1, .* is no class'),
    'colours in front': ('64 128 64\tcat\n1 2 3\tdog', 'line 1: the number 64 is out of order'),
    'colours behind numbers': ('0 128 0 cat\n1 0 0 dog', "line 1, '128 0 cat', is no class"),
    'hexadecimal colours': ('cat #ff0000\ndog #00ff00', 'line 1, .* is no class'),
    'comments': ('cat // a pet\ndog', 'line 1, .* is no class'),
    'a colour as words': ('cat: 0,0,1\ndog: 1,2,3', "line 1, 'cat: 0,0,1', is no class"),
    'a number as a word': ('cat, 7\ndog', "line 1, 'cat, 7', has a word without letters"),
    'an empty word': ('dog\ncat, , kitten', "line 2, 'cat, , kitten', has an empty word"),
    'a header alone': ('name\ncat\ndog', "line 1, 'name', looks like the header of a table"),
    'all in one line': ('cat, dog, fish', "line 1, 'cat, dog, fish', is one class with synonyms"),
    'two lists': (
        '{"thing_classes": ["cat"], "stuff_classes": ["sky"]}',
        'it has thing_classes and stuff_classes',
    ),
    'LabelMe': (
        '{"version": "5", "shapes": [{"label": "cat"}]}',
        '"shapes" holds no word and no list of words',
    ),
    'COCO without categories': ('{"images": [], "info": {}}', '"info" holds no word and no list of words'),
    'an empty category': ('[{"id": 1, "name": " "}]', 'category 1 has no "name"'),
    'Label Studio': ('<View><Label value="cat"/></View>', 'line 1, .* is no class'),
    'pbtxt': ("item {\n  id: 1\n  name: 'cat'\n}", "line 1, 'item {', is no class"),
    'XML': ('<name>cat</name>', 'line 1, .* is no class'),
    'Python': ('CLASSES = ["cat"]', 'line 1, .* is no class'),
    'semicolons': ('cat\nsofa;couch', "line 2, 'sofa;couch', is no class"),
    'quotes in a row': ('"cat", "dog"', 'line 1, .* is no class'),
    'quotes and more': ('house: "building, edifice"s', 'line 1, .* is no class'),
    'quotes in part': ('"cat"\ndog', 'line 1, .* is no class'),
    'a table without a name': ('id,name\n1,\n', 'row 2 has no name'),
    'nested JSON': ('{"cat": {"id": 1}}', '"cat" holds no word and no list of words'),
    'deep JSON': ('[' * 100_000, 'it starts as JSON and is none'),
}


@pytest.mark.parametrize(('text', 'message'), REFUSED.values(), ids=REFUSED.keys())
def test_other_forms_are_refused_with_the_line(text, message, tmp_path):
    (tmp_path / 'words.txt').write_text(text)
    with pytest.raises(ValueError, match=rf'words\.txt: {message}'):
        Vocabulary.read(tmp_path / 'words.txt')


def test_a_yaml_map_names_words(tmp_path):
    (tmp_path / 'data.yaml').write_text('cat: kitten\ndog: puppy\n')
    assert Vocabulary.read(tmp_path / 'data.yaml') == Vocabulary.read({'cat': 'kitten', 'dog': 'puppy'})
