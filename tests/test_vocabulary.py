"""Words and templates: the shipped ones against their sources, every form a user may write, every error."""

import importlib.util
import json
import os
from pathlib import Path

from mmseg_clipsurgery import word_files, word_lines
from mmseg_clipsurgery.vocabulary import Vocabulary, read_templates, resource_names

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BACKGROUND = [
    *(
        'sky',
        'wall',
        'tree',
        'wood',
        'grass',
        'road',
        'sea',
        'river',
        'mountain',
        'sands',
        'desk',
        'bed',
        'building',
    ),
    *(
        'cloud',
        'lamp',
        'door',
        'window',
        'wardrobe',
        'ceiling',
        'shelf',
        'curtain',
        'stair',
        'floor',
        'hill',
        'rail',
    ),
    'fence',
]
WEAR = ('shirt', 'jeans', 'dress', 'sweater', 'skirt', 'jacket')
PERSON = ['person', *(f'person in {wear}' for wear in WEAR)]
MONITOR = ['television monitor', 'tv monitor', 'monitor', 'television', 'screen']
VOC = {'boat': ['ship'], 'diningtable': ['table'], 'person': PERSON, 'tvmonitor': MONITOR}


def in_one_word(*names: str) -> dict[str, list[str]]:
    return {name: [name.replace(' ', '')] for name in names}


FURNISHED = ('lamp', 'door', 'window', 'wardrobe', 'ceiling', 'shelf', 'curtain', 'stair', 'fence')
# Vocabulary -> the words of the leaderboard protocol that are not the class name.
PEOPLE = ['people', *VOC['person'][1:]]  # SFP's
WORDS = {
    'voc21': {'background': BACKGROUND, **VOC},
    'voc21_names': {},
    'voc20': VOC,
    'context59': {},
    'context60': {},
    'coco_object': {'background': BACKGROUND, 'person': [*PERSON, 'body']},
    'coco_stuff164k': in_one_word(
        *('traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'sports ball', 'baseball bat'),
        *(
            'baseball glove',
            'tennis racket',
            'wine glass',
            'hot dog',
            'potted plant',
            'dining table',
            'cell phone',
        ),
        *('teddy bear', 'hair drier'),
    ),
    'cityscapes': in_one_word('traffic light', 'traffic sign'),
    'ade20k': in_one_word(
        *('chest of drawers', 'pool table', 'screen door', 'coffee table', 'kitchen island', 'swivel chair'),
        *(
            'arcade machine',
            'television receiver',
            'dirt track',
            'conveyer belt',
            'swimming pool',
            'trade name',
        ),
        *('traffic light', 'crt screen', 'bulletin board'),
    ),
    'voc21_people': {'background': BACKGROUND, **VOC, 'person': PEOPLE},
    'voc20_people': {**VOC, 'person': PEOPLE},
    'cityscapes_people': {**in_one_word('traffic light', 'traffic sign'), 'person': ['people']},
    'scenes': {},
    'voc21_plain': {'boat': ['ship'], 'diningtable': ['table']},
    'voc20_plain': {'boat': ['ship'], 'diningtable': ['table']},
    'coco_object_names': {},
    'voc21_proxyclip': {'background': BACKGROUND, 'boat': ['ship'], 'diningtable': ['table']},
    'coco_object_proxyclip': {'background': [word for word in BACKGROUND if word not in FURNISHED]},
    'ade20k_847': {},
    'context459_names': {},
    **{f'imagenet_s{classes}': {} for classes in (50, 300, 919)},
    'nus_wide': {},
}

# Vocabulary -> data set, number of classes, number of queries, background or not.
DATA_SETS = {
    'voc21': ('PascalVOCDataset', 21, 56, True),
    'voc21_names': ('PascalVOCDataset', 21, 21, True),
    'voc20': ('PascalVOC20Dataset', 20, 30, False),
    'voc21_people': ('PascalVOCDataset', 21, 56, True),
    'voc20_people': ('PascalVOC20Dataset', 20, 30, False),
    'cityscapes_people': ('CityscapesDataset', 19, 19, False),
    'context59': ('PascalContextDataset59', 59, 59, False),
    'context60': ('PascalContextDataset', 60, 60, True),
    'coco_object': ('COCOObjectDataset', 81, 113, True),
    'coco_stuff164k': ('COCOStuffDataset', 171, 171, False),
    'cityscapes': ('CityscapesDataset', 19, 19, False),
    'ade20k': ('ADE20KDataset', 150, 150, False),
    'scenes': ('ScenesDataset', 14, 14, False),
    'voc21_plain': ('PascalVOCDataset', 21, 21, True),
    'voc20_plain': ('PascalVOC20Dataset', 20, 20, False),
    'coco_object_names': ('COCOObjectDataset', 81, 81, True),
    'ade20k_847': ('ADE20K847Dataset', 847, 847, False),
    'context459': ('PascalContext459Dataset', 459, 459, False),
    'context459_names': ('PascalContext459Dataset', 459, 459, False),
    'ade20k_847_synonyms': ('ADE20K847Dataset', 847, 1281, False),
    'ade20k_847_proxyclip': ('ADE20K847Dataset', 847, 847, False),
    'voc21_proxyclip': ('PascalVOCDataset', 21, 46, True),
    'coco_object_proxyclip': ('COCOObjectDataset', 81, 97, True),
    'imagenet_s50': ('ImageNetS50Dataset', 51, 51, True),
    'imagenet_s300': ('ImageNetS300Dataset', 301, 301, True),
    'imagenet_s919': ('ImageNetS919Dataset', 920, 920, True),
    'nus_wide': ('NUSWideDataset', 81, 81, False),
}
LISTED = [*WORDS, 'context459', 'ade20k_847_synonyms', 'ade20k_847_proxyclip']


def words_by_class(vocabulary: Vocabulary) -> dict[str, list[str]]:
    words: dict[str, list[str]] = {name: [] for name in vocabulary.classes}
    for word, k in zip(vocabulary.queries, vocabulary.class_of, strict=True):
        words[vocabulary.classes[k]].append(word)
    return words


def class_names(data_set: str) -> tuple[str, ...]:
    """MMSeg's own names; ADE20K's 'bed ' has a blank too many there."""
    import mmseg_clipsurgery  # noqa: F401, registers ours

    from mmseg.registry import DATASETS

    return tuple(name.strip() for name in DATASETS.get(data_set).METAINFO['classes'])


def test_every_shipped_vocabulary_is_known_here():
    assert set(resource_names('vocabularies')) == set(LISTED) == set(DATA_SETS)


@pytest.mark.mmseg
@pytest.mark.parametrize('name', DATA_SETS)
def test_shipped_names_are_those_of_the_data_set(name):
    data_set, classes, queries, background = DATA_SETS[name]
    vocabulary = Vocabulary.read(name)
    assert vocabulary.classes == class_names(data_set)
    assert (vocabulary.num_classes, len(vocabulary.queries)) == (classes, queries)
    assert vocabulary.has_background is background


@pytest.mark.parametrize('name', WORDS)
def test_shipped_words_are_the_protocol(name):
    words = words_by_class(Vocabulary.read(name))
    assert set(WORDS[name]) <= set(words)
    assert words == {k: WORDS[name].get(k, [k]) for k in words}


def shipped(name: str) -> dict[str, list[str]]:
    return words_by_class(Vocabulary.read(name))


def test_context459_is_asked_for_in_words_written_apart():
    apart, literal = shipped('context459'), shipped('context459_names')
    assert list(apart) == list(literal)
    assert list(apart)[:1] + list(apart)[-1:] == ['accordion', 'wool']
    differing = {name: words for name, words in apart.items() if words != literal[name]}
    assert len(differing) == 94
    assert all([word.replace(' ', '') for word in words] == [name] for name, words in differing.items())
    assert differing['airconditioner'] == ['air conditioner']
    assert differing['horse-drawncarriage'] == ['horse-drawn carriage']
    assert differing['waterskateboard'] == ['water skate board']
    assert apart['tvmonitor'] == ['tvmonitor']  # as the public codes have it


def test_ade20k_847_has_one_name_of_each_class():
    one, every = shipped('ade20k_847'), shipped('ade20k_847_synonyms')
    assert list(one) == list(every)
    assert list(one)[:1] + list(one)[-1:] == ['wall', 'adding machine']
    assert sum(len(words) > 1 for words in every.values()) == 217
    starts = [words[0] for words in every.values()]
    for name, words in every.items():
        rivals = [other for other in every if every[other][0] == words[0]]
        first = min(rivals, key=lambda other: len(every[other]) > 1)  # who has no other name, else the first
        if name == first:
            assert [name] == one[name] == words[:1]
        else:
            assert [name] == one[name] == [word for word in words if word not in starts][:1]
    assert sum(name != words[0] for name, words in every.items()) == 10


def test_ade20k_847_of_the_public_codes_is_one_query_of_all_names():
    every, joined = shipped('ade20k_847_synonyms'), shipped('ade20k_847_proxyclip')
    apart = {name: ', '.join(words) for name, words in joined.items()}
    # The public word files write one name otherwise.
    assert apart.pop('altar') == 'altar, communion table, lords table'
    assert every.pop('altar')[2] == "lord's table"
    assert apart == {name: ', '.join(words) for name, words in every.items()}
    assert joined['building'] == ['building, edifice']
    assert joined['flowerpot'] == ['pot, flowerpot']
    assert len(set(Vocabulary.read('ade20k_847_proxyclip').queries)) == 847


def test_words_are_those_of_the_shared_facts():
    here = Path(__file__).resolve().parents[1]
    facts = (
        Path(os.environ.get('MMSEG_CLIPSURGERY_SHARED', here.parent / 'shared')) / 'facts' / 'protocols.json'
    )
    if not facts.is_file():
        pytest.skip('no shared facts here')
    for name, data_set in json.loads(facts.read_text())['datasets'].items():
        words = words_by_class(Vocabulary.read(name))
        expected = {k.strip(): v for k, v in data_set['words'].items()}
        assert words == {k: expected.get(k, [k]) for k in words}, name
        assert len(words) == data_set['classes'], name


def test_imagenet_templates_are_those_of_open_clip():
    folder = importlib.util.find_spec('open_clip').submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location('metadata', Path(folder) / 'zero_shot_metadata.py')
    metadata = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(metadata)
    theirs = tuple(template('{}') for template in metadata.OPENAI_IMAGENET_TEMPLATES)
    assert read_templates('imagenet80') == theirs
    assert len(theirs) == 80


def test_clip_surgery_adds_five_templates():
    assert read_templates('clip_surgery85')[:80] == read_templates('imagenet80')
    assert read_templates('clip_surgery85')[80:] == (
        'there is a {} in the scene.',
        'there is the {} in the scene.',
        'this is a {} in the scene.',
        'this is the {} in the scene.',
        'this is one {} in the scene.',
    )


def test_every_shipped_template_set_reads():
    assert {name: len(read_templates(name)) for name in resource_names('templates')} == {
        'bare': 1,
        'clip_surgery85': 85,
        'imagenet80': 80,
        'photo': 1,
    }
    assert read_templates('bare') == ('{}',)
    assert read_templates('photo') == ('a photo of a {}.',)


EXPECTED = Vocabulary(('cat', 'sofa'), ('cat', 'sofa', 'couch'), (0, 1, 1))


@pytest.mark.parametrize(
    'spec',
    [
        pytest.param(['cat', ['sofa', 'couch']], id='words and synonyms'),
        pytest.param((('cat',), ('sofa', 'couch')), id='tuples'),
        pytest.param({'cat': 'cat', 'sofa': ['sofa', 'couch']}, id='mapping'),
        pytest.param([' cat\t', ['sofa', ' couch ']], id='white space'),
        pytest.param(EXPECTED, id='vocabulary'),
    ],
)
def test_forms_give_one_vocabulary(spec):
    assert Vocabulary.read(spec) == EXPECTED


@pytest.mark.parametrize(
    'text',
    [
        pytest.param(b'cat\nsofa, couch\n', id='plain'),
        pytest.param(b'cat\nsofa,couch', id='no blank, no end of line'),
        pytest.param(b'\xef\xbb\xbfcat\r\nsofa, couch\r\n', id='byte order mark and CRLF'),
        pytest.param(b'# mine\n\ncat\n   \n  # more\n sofa ,  couch \n\n', id='comments and blank lines'),
        pytest.param(b'cat: cat\nsofa: sofa, couch\n', id='named classes'),
    ],
)
def test_text_files_give_one_vocabulary(tmp_path, text):
    (tmp_path / 'words.txt').write_bytes(text)
    assert Vocabulary.read(tmp_path / 'words.txt') == EXPECTED
    assert Vocabulary.read(str(tmp_path / 'words.txt')) == EXPECTED


def test_file_names_a_class_apart_from_its_words(tmp_path):
    (tmp_path / 'words').write_text('background: sky, wall\nboat: ship\nÄpfel, 苹果\n', encoding='utf-8')
    vocabulary = Vocabulary.read(tmp_path / 'words')
    assert vocabulary.classes == ('background', 'boat', 'Äpfel')
    assert vocabulary.queries == ('sky', 'wall', 'ship', 'Äpfel', '苹果')
    assert vocabulary.class_of == (0, 0, 1, 2, 2)
    assert vocabulary.has_background


def test_none_stays_none():
    assert Vocabulary.read(None) is None


def test_a_word_may_stand_in_two_classes():
    assert Vocabulary.read([['background', 'bed'], 'bed']).queries == ('background', 'bed', 'bed')


@pytest.mark.parametrize(
    ('spec', 'background'),
    [
        (['background', 'cat'], True),
        (['Background', 'cat'], True),
        (['cat', 'background'], False),
        (['cat'], False),
    ],
)
def test_background_is_class_zero_by_its_name(spec, background):
    assert Vocabulary.read(spec).has_background is background


HEADERS = {*word_lines.HEADERS, *word_files.NAME_COLUMNS}  # in the first line they make a table of a file
WORD = st.text(st.characters(categories=['L']), min_size=1, max_size=8).filter(
    lambda word: word.lower() not in HEADERS
)


@given(
    st.lists(
        st.lists(WORD, min_size=1, max_size=4, unique=True), min_size=2, max_size=6, unique_by=lambda w: w[0]
    )
)
@settings(max_examples=30, deadline=None)
def test_file_and_list_agree(tmp_path_factory, classes):
    path = tmp_path_factory.getbasetemp() / 'words.txt'
    path.write_text('\n'.join(', '.join(words) for words in classes), encoding='utf-8')
    vocabulary = Vocabulary.read(path)
    assert vocabulary == Vocabulary.read(classes)
    assert words_by_class(vocabulary) == {words[0]: words for words in classes}
    assert list(vocabulary.class_of) == sorted(vocabulary.class_of)


@pytest.mark.parametrize(
    ('spec', 'error', 'sentence'),
    [
        pytest.param([], ValueError, 'empty vocabulary', id='no class'),
        pytest.param({}, ValueError, 'empty vocabulary', id='no class in a mapping'),
        pytest.param(['cat', ' '], ValueError, 'empty word', id='empty word'),
        pytest.param({'': 'cat'}, ValueError, 'empty word', id='empty class name'),
        pytest.param(['cat', []], ValueError, 'without words', id='no synonym'),
        pytest.param([['cat', 'cat']], ValueError, "'cat' twice in class 'cat'", id='word twice in a class'),
        pytest.param(['cat', ['cat', 'tom']], ValueError, "two classes named 'cat'", id='name twice'),
        pytest.param('voc22', ValueError, "unknown vocabulary name 'voc22'.*voc21", id='unknown name'),
        pytest.param('', ValueError, 'unknown vocabulary', id='empty name'),
        pytest.param('a' * 5000, ValueError, 'longer than the system takes', id='long name'),
        pytest.param('my/words', FileNotFoundError, "'my/words'", id='missing file'),
        pytest.param('words.txt', FileNotFoundError, "'words.txt'", id='missing file by suffix'),
        pytest.param(Path('words'), FileNotFoundError, "'words'", id='missing path'),
        pytest.param('.', ValueError, 'unknown vocabulary', id='folder'),
        pytest.param(b'cat', ValueError, 'type bytes', id='bytes'),
        pytest.param({'cat', 'dog'}, ValueError, 'type set', id='set'),
        pytest.param(3, ValueError, 'type int', id='number'),
        pytest.param(['cat', 3], ValueError, 'type int', id='number for a class'),
        pytest.param([['cat', 3]], ValueError, 'type int', id='number for a word'),
        pytest.param({3: 'cat'}, ValueError, 'type int', id='number for a name'),
        pytest.param(['cat\0'], ValueError, 'no character of a text', id='null'),
        pytest.param([['cat', 'ca\x07t']], ValueError, 'no character of a text', id='control character'),
        pytest.param({'\ud800': 'cat'}, ValueError, 'no character of a text', id='half of a pair'),
        pytest.param(['caf\ufffd'], ValueError, 'no character of a text', id='decoded wrongly'),
    ],
)
def test_bad_vocabularies_say_why(spec, error, sentence):
    with pytest.raises(error, match=sentence):
        Vocabulary.read(spec)


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        pytest.param(b'', 'words.txt: got an empty vocabulary', id='empty'),
        pytest.param(b'# nothing\n\n', 'words.txt: got an empty vocabulary', id='comments only'),
        pytest.param(
            b'cat\nsofa,,couch\n', "words.txt: line 2, 'sofa,,couch', has an empty word", id='empty synonym'
        ),
        pytest.param(b',\n', "words.txt: line 1, ',', has an empty word", id='a comma alone'),
        pytest.param(b'cat:\n', "words.txt: line 1, 'cat:', has an empty word", id='name without words'),
        pytest.param(b': cat\n', 'words.txt: got an empty word', id='words without name'),
        pytest.param(b'cat\ncat\n', "words.txt: got two classes named 'cat'", id='name twice'),
        pytest.param(b'\xff\xfe\x00', 'not UTF-8', id='not text'),
        pytest.param(
            'cat\ndog\n'.encode('utf-16-le'), 'null characters, as UTF-16 does', id='UTF-16 without a mark'
        ),
    ],
)
def test_bad_vocabulary_files_say_which_and_why(tmp_path, text, sentence):
    (tmp_path / 'words.txt').write_bytes(text)
    with pytest.raises(ValueError, match=sentence):
        Vocabulary.read(tmp_path / 'words.txt')


@pytest.mark.parametrize(
    ('queries', 'class_of'),
    [(('cat', 'dog'), (0,)), (('cat', 'dog'), (0, 2)), (('cat', 'tom'), (0, 0)), (('cat', 'dog'), (0, -1))],
    ids=['lengths', 'no such class', 'a class without query', 'negative'],
)
def test_inconsistent_vocabularies_are_refused(queries, class_of):
    with pytest.raises(ValueError, match='class_of'):
        Vocabulary(('cat', 'dog'), queries, class_of)


def test_templates_in_a_list_a_string_or_a_file(tmp_path):
    (tmp_path / 'mine').write_bytes(b'\xef\xbb\xbf# mine\r\n\r\na {}.\r\nthe {} of Z\xc3\xbcrich\r\n')
    expected = ('a {}.', 'the {} of Zürich')
    assert read_templates(tmp_path / 'mine') == read_templates(list(expected)) == expected
    assert read_templates('a {}.') == ('a {}.',)


@pytest.mark.parametrize(
    ('spec', 'error', 'sentence'),
    [
        pytest.param([], ValueError, 'no templates', id='none'),
        pytest.param(None, ValueError, 'type NoneType', id='None'),
        pytest.param(['a photo'], ValueError, 'exactly one', id='no place'),
        pytest.param(['a {} and a {}'], ValueError, 'exactly one', id='two places'),
        pytest.param(['a {word}'], ValueError, 'exactly one', id='named place'),
        pytest.param(['\0{}'], ValueError, 'no character of a text', id='null'),
        pytest.param('a {} {', ValueError, 'exactly one', id='stray brace'),
        pytest.param([3], ValueError, 'type int', id='number'),
        pytest.param(
            'imagenet', ValueError, "unknown templates name 'imagenet'.*imagenet80", id='unknown name'
        ),
        pytest.param('mine.txt', FileNotFoundError, "'mine.txt'", id='missing file'),
    ],
)
def test_bad_templates_say_why(spec, error, sentence):
    with pytest.raises(error, match=sentence):
        read_templates(spec)
