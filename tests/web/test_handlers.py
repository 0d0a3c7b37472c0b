"""What the page's buttons give: a picture and a line, or a sentence, and files."""

from pathlib import Path

import photos
from mmseg_clipsurgery.api.reading import Reading
from mmseg_clipsurgery.environment.files import read_json
from mmseg_clipsurgery.web.answers import Answers
from mmseg_clipsurgery.web.downloads import FOLDERS, Downloads, file_name
from mmseg_clipsurgery.web.handlers import Handlers, mistake, start_words
from mmseg_clipsurgery.web.limits import Limits
from mmseg_clipsurgery.web.photos import scene, uploaded
from mmseg_clipsurgery.web.words import read_words

import numpy as np
import pytest
from PIL import Image
from test_answers import Sam

WORDS, METHODS = 'cat, dog, grass', ['clip', 'sclip']


@pytest.fixture(scope='module')
def model():
    return photos.model('clip')


@pytest.fixture
def handlers(model, tmp_path):
    root = tmp_path / 'files'
    root.mkdir()
    return Handlers(Answers({'clip': model}, Reading(max_pixels=10_000), Limits(maps=2)), Downloads(root))


@pytest.fixture
def photo(tmp_path):
    return uploaded(photos.save(tmp_path / 'my photo.png', photos.photo()), Limits())


@pytest.mark.parametrize('methods', [['clip'], METHODS], ids=['one', 'two'])
@pytest.mark.parametrize('task', ['segment', 'heatmaps', 'explain', 'attention'])
def test_every_button_gives_a_picture_and_a_line(handlers, photo, task, methods):
    asked = {'explain': 'a cat', 'attention': [10, 20]}.get(task, WORDS)
    picture, told = getattr(handlers, task)(photo, asked, methods, 0.5)
    assert picture.width > 100
    assert told
    assert not told.startswith('⚠')


def test_recognise_tells_what_is_there(handlers, photo):
    picture, told = handlers.recognise(photo, WORDS)
    assert picture.width > 256
    assert told.startswith('Is it there?')


def test_many_maps_are_cut_and_told(handlers, photo):
    _, told = handlers.heatmaps(photo, WORDS, ['clip'], 0.5)
    assert told == 'The first 2 of 3 words are drawn.'


def test_opacity_changes_the_picture(handlers, photo):
    pictures = [handlers.heatmaps(photo, 'cat', ['clip'], opacity)[0] for opacity in (0.0, 1.0, 1.0)]
    assert pictures[0].tobytes() != pictures[1].tobytes()
    assert pictures[1].tobytes() == pictures[2].tobytes()


@pytest.mark.parametrize(
    ('ask', 'sentence'),
    [
        (lambda h, p: h.segment(p, '', METHODS, 0.5), 'got no words'),
        (lambda h, p: h.segment(p, 'w, ' * 1000, METHODS, 0.5), 'got 1,000 words'),
        (lambda h, p: h.segment_files(p, '', METHODS), 'got no words'),
        (lambda h, p: h.heatmaps(p, WORDS, METHODS, 7), 'opacity'),
        (lambda h, p: h.recognise(p, ''), 'got no words'),
        (lambda h, p: h.explain(p, '', METHODS, 0.5), 'at least one word'),
        (lambda h, p: h.attention(p, None, METHODS, 0.5), 'click a patch'),
        (lambda h, p: h.points(p, (), 'cat', [], 0.5), 'got no method'),
        (lambda h, p: h.mask(p, (), 'cat', [], 0.5), 'got no method'),
    ],
    ids=['none', '1,000', 'files', 'opacity', 'recognise', 'sentence', 'click', 'points', 'mask'],
)
def test_mistakes_are_sentences_in_place_of_pictures(handlers, photo, ask, sentence):
    picture, *_, told = ask(handlers, photo)
    assert picture is None
    assert told.startswith('⚠')
    assert sentence in told.replace('\\', '')


def test_a_bug_is_not_told_as_a_mistake():
    with pytest.raises(KeyError):
        mistake(KeyError('x'))


def test_a_photo_is_chosen_or_the_one_before_stays(handlers, photo, tmp_path):
    chosen, picture, told = handlers.choose_file(str(photo.path), scene(0))
    assert (chosen, picture.size) == (photo, (375, 256))
    assert '44 x 30 pixels' in told
    text = tmp_path / 'notes.jpg'
    text.write_text('no photo')
    Image.new('1', (20_000, 20)).save(tmp_path / 'wide.png')
    for path, sentence in (
        (text, 'is no image'),
        (tmp_path / 'wide.png', '400,000 pixels'),
        ('gone', 'check'),
    ):
        chosen, picture, told = handlers.choose_file(str(path), photo)
        assert (chosen, picture.size) == (photo, (375, 256))
        assert sentence in told.replace('\\', '')
    assert handlers.choose_scene(1, photo)[0] == scene(1)
    assert handlers.choose_scene(99, photo)[0] == photo


def test_clicks_add_points_at_the_photos_pixels(handlers, photo):
    clicks, picture, told = handlers.add_point(photo, (), [374, 255], True, '', ['clip'], 0.5)
    assert clicks == ((43, 29, 1),)
    assert picture.size == (375, 256)
    assert told == '1 positive, 0 negative points'
    clicks, _, told = handlers.add_point(photo, clicks, [0, 0], False, '', ['clip'], 0.5)
    assert clicks == ((43, 29, 1), (0, 0, 0))
    full = ((1, 1, 1),) * 100
    assert handlers.add_point(photo, full, [0, 0], True, '', ['clip'], 0.5)[0] == full


def test_files_hold_the_labels(handlers, photo):
    files, told = handlers.segment_files(photo, WORDS, METHODS)
    named = {path.rpartition('/')[2]: path for path in files}
    assert len(files) == len(named) == 9
    labels = handlers.answers.segment(photo, read_words(WORDS, Limits()), METHODS)['clip'].labels
    for kind in ('labels', 'palette'):
        assert np.array_equal(np.asarray(Image.open(named[f'my_photo_clip_{kind}.png'])), labels)
    assert read_json(Path(named['my_photo_sclip_labelme.json']))['imagePath'] == 'my photo.png'
    assert {c['name'] for c in read_json(Path(named['my_photo_sclip_coco.json']))['categories']} == {
        'cat',
        'dog',
        'grass',
    }
    assert told == '9 files.'


def test_points_and_mask_as_files(handlers, photo):
    picture, files, told = handlers.mask(photo, ((1, 2, 1),), '', ['clip'], 0.5)
    assert picture is None
    assert read_json(Path(files[0]))['point_coords'] == [[1, 2]]
    assert 'without --sam' in told
    handlers.answers.sam = Sam()
    picture, files, told = handlers.mask(photo, ((1, 2, 1),), '', ['clip'], 0.5)
    assert picture.size == (375, 256)
    assert np.asarray(Image.open(files[1])).all()
    assert 'mask of 100% of the photo' in told


def test_old_folders_go(tmp_path):
    downloads = Downloads(tmp_path)
    made = [downloads.folder() for _ in range(FOLDERS + 3)]
    assert [path.exists() for path in made] == [False] * 3 + [True] * FOLDERS


def test_names_of_files_are_plain():
    assert file_name('../a b/ü*') == '.._a_b_ü_'
    assert len(file_name('x' * 300)) == 80
    assert file_name('') == 'photo'


def test_the_first_words_are_those_of_the_scenes():
    assert start_words().split(', ')[8] == 'grass'
