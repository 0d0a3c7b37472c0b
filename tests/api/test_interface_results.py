"""Answers: each draws, saves and records itself, at every size and in any script."""

import io
import json

import photos
from mmseg_clipsurgery.api.results import (
    HeatMaps,
    PatchAttention,
    Points,
    PromptedMask,
    Recognition,
    Segmentation,
    TextExplanation,
    compare,
)
from mmseg_clipsurgery.visualization.panels import panel

import numpy as np
import pytest
from PIL import Image

WORDS = ('猫', 'собака и кот', 'a very long description of something that hardly fits anywhere', 'سماء')
SHAPES = {
    'photo': (60, 80),
    'wide': (20, 200),
    'tall': (200, 12),
    'tiny': (3, 4),
    'large': (1500, 2000),
    'dot': (1, 1),
}


def answers(height: int, width: int) -> dict:
    """One answer of each kind about a photo."""
    random = np.random.default_rng(0)
    pixels = photos.photo(height, width)
    similarity = random.random((4, 3, 5), np.float32)
    xy = np.stack([random.integers(0, width, 6), random.integers(0, height, 6)], axis=1)
    points = Points(pixels, 'cat+dog', xy, np.array([1, 1, 1, 0, 0, 0], np.uint8), similarity[0])
    labels = random.integers(0, 4, (height, width))
    relevance = np.array([0.1, -0.2, 0.0])
    return {
        'segmentation': Segmentation(pixels, labels, WORDS),
        'heat maps': HeatMaps(pixels, WORDS, similarity),
        'attention': PatchAttention(pixels, (width - 1, height - 1), similarity[0], 'clip'),
        'recognition': Recognition(pixels, WORDS, similarity[:, 0, 0], similarity[:, 1, 1]),
        'text': TextExplanation(
            pixels, 'a 猫 sat', ('a', '猫', 'sat'), relevance, 0.3, similarity[0], 'tokens'
        ),
        'points': points,
        'no points': Points(pixels, 'cat', xy[:0], np.zeros(0, np.uint8), np.zeros((2, 2), np.float32)),
        'mask': PromptedMask(pixels, points, labels > 1, 0.9),
    }


MARKED = ('points', 'attention', 'mask')  # marks may cover any pixel of a small photo


def is_within(row: np.ndarray, picture: np.ndarray) -> bool:
    """Whether pixels "w 3" stand side by side somewhere in a picture "H W 3"."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, len(row), axis=1)
    starts = (windows[..., 0] == row[0]).all(-1)
    return any((window == row.T).all() for window in windows[starts])


@pytest.mark.slow
@pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES.keys())
def test_every_answer_draws_the_photo_at_every_size(shape):
    for name, answer in answers(*shape).items():
        picture = answer.draw(0.0) if name != 'recognition' else answer.draw()
        assert picture.mode == 'RGB'
        assert 200 <= picture.width < 4200, name
        assert picture.height < 4200, name
        row = np.asarray(panel(answer.pixels))[0]  # above marks, which lie on the photo's pixels
        assert name in MARKED or is_within(row, np.asarray(picture)), name
        if not isinstance(answer, Recognition) and shape != SHAPES['large']:  # its pictures take seconds each
            other = compare({'clip': answer, 'clip_surgery': answer, 'gem': answer})
            assert other.width > picture.width or other.height > picture.height, name


def test_comparing_one_answer_is_drawing_it():
    answer = answers(60, 80)['heat maps']
    assert np.array_equal(compare({'clip': answer}), answer.draw())
    with pytest.raises(ValueError, match=r"one kind, got \['HeatMaps', 'Points'\]"):
        compare({'a': answer, 'b': answers(60, 80)['points']})
    with pytest.raises(ValueError, match='got none'):
        compare({})


@pytest.mark.slow
def test_the_method_says_what_is_saved_and_the_ending_in_which_format(tmp_path):
    for name, answer in answers(60, 80).items():
        stem = tmp_path / 'new folder' / name.replace(' ', '_')
        for ending in ('.png', '.jpg', '.pdf'):
            answer.save_figure(stem.with_suffix(ending))
        with Image.open(stem.with_suffix('.png')) as picture:
            assert picture.info['dpi'] == pytest.approx((300, 300), abs=0.1)
            assert picture.size == answer.draw().size
        answer.save_record(stem.with_suffix('.json'))
        record = json.loads(stem.with_suffix('.json').read_text(encoding='utf-8'))
        assert (record['height'], record['width']) == (60, 80)
        answer.save_arrays(stem.with_suffix('.npz'))
        with np.load(stem.with_suffix('.npz')) as arrays:
            assert set(arrays) == set(answer.arrays())
        assert not hasattr(answer, 'save')
    assert not list(tmp_path.rglob('*.tmp'))


@pytest.mark.slow
def test_results_show_themselves_in_notebooks():
    for name, answer in answers(60, 80).items():
        text = repr(answer)
        assert text.startswith(f'{type(answer).__name__}(60 x 80 pixels, ')
        assert len(text) < 500, name
        assert '\n' not in text
        picture = np.asarray(Image.open(io.BytesIO(answer._repr_png_())))
        assert np.array_equal(picture, answer.draw()), name
    assert 'labels=<60 x 80 int64>' in repr(answers(60, 80)['segmentation'])


def test_masks_of_classes_share_out_the_photo():
    result = answers(60, 80)['segmentation']
    masks = np.stack([result.mask(name) for name in WORDS])
    assert masks.dtype == bool
    assert (masks.sum(axis=0) == 1).all()
    assert np.array_equal(masks.argmax(axis=0), result.labels)
    with pytest.raises(ValueError, match="'dog' is none of the classes '猫', "):
        result.mask('dog')


def test_an_overlay_has_the_size_of_the_photo_and_the_colours_of_its_labels():
    result = answers(60, 80)['segmentation']
    assert np.array_equal(result.overlay(0.0), result.pixels)
    assert np.array_equal(result.overlay(1.0), np.array(result.colours())[result.labels])
    half = np.asarray(result.overlay(0.5)).astype(float)
    assert (
        np.abs(half - (np.asarray(result.overlay(0.0)) / 2 + np.asarray(result.overlay(1.0)) / 2)).max()
        <= 0.5
    )


WRONG_ENDINGS = {
    'figure as JSON': ('heat maps', 'save_figure', 'a.json', r"'\.json'; save_record writes \.json files"),
    'figure as arrays': ('heat maps', 'save_figure', 'a.npz', r'save_arrays writes \.npz files'),
    'figure as nothing': (
        'heat maps',
        'save_figure',
        'a.docx',
        r"writes \.png, \.jpg, \.pdf, \.\.\., got .*'\.docx'$",
    ),
    'null': ('points', 'save_record', 'a\0.json', 'holds a null character'),
    'figure without ending': ('heat maps', 'save_figure', 'a', "got the ending ''$"),
    'record as picture': (
        'points',
        'save_record',
        'a.png',
        r'writes \.json, .* save_figure writes \.png files',
    ),
    'arrays as JSON': ('points', 'save_arrays', 'a.json', 'save_record writes'),
    'labels as JPEG': (
        'segmentation',
        'save_labels',
        'a.jpg',
        r'save_labels writes \.png, got .* save_figure writes',
    ),
    'palette as JSON': ('segmentation', 'save_palette', 'a.json', 'save_record writes'),
    'polygons as a picture': (
        'segmentation',
        'save_labelme',
        'a.png',
        r'save_labelme writes \.json, got .* save_figure writes',
    ),
    'mask as arrays': ('mask', 'save_mask', 'a.npz', 'save_arrays writes'),
}


@pytest.mark.parametrize(
    ('kind', 'method', 'name', 'message'), WRONG_ENDINGS.values(), ids=WRONG_ENDINGS.keys()
)
def test_a_wrong_ending_is_refused_with_the_right_method(tmp_path, kind, method, name, message):
    with pytest.raises(ValueError, match=message):
        getattr(answers(6, 8)[kind], method)(
            tmp_path / name, *(['a.jpg'] if method == 'save_labelme' else [])
        )
    assert not list(tmp_path.iterdir())


def test_a_home_is_found_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    answers(6, 8)['points'].save_record('~/a.json')
    with pytest.raises(ValueError, match='home of a user who is not known'):
        answers(6, 8)['points'].save_record('~nobody-there/a.json')
    assert [path.name for path in tmp_path.iterdir()] == ['a.json']


def test_label_maps_and_masks_are_saved_as_they_are(tmp_path):
    made = answers(60, 80)
    made['segmentation'].save_labels(tmp_path / 'labels.png')
    assert np.array_equal(Image.open(tmp_path / 'labels.png'), made['segmentation'].labels)
    made['mask'].save_mask(tmp_path / 'mask.png')
    assert np.array_equal(np.asarray(Image.open(tmp_path / 'mask.png')) > 0, made['mask'].mask)
    shares = made['segmentation'].shares()
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_recognition_leads_with_presence_and_leaves_the_softmax_out_for_one_word():
    pixels, words = photos.photo(60, 80), ('a', 'b', 'c')
    result = Recognition(pixels, words, np.array([0.2, 0.9, 0.6]), np.array([0.7, 0.1, 0.2]))
    assert list(result.present(2).items()) == [('b', 0.9), ('c', 0.6)]
    assert list(result.best(2).items()) == [('a', 0.7), ('c', 0.2)]
    record = result.record()
    assert list(record['presence']) == ['b', 'c', 'a']
    assert list(record['scores']) == ['a', 'c', 'b']
    one = Recognition(pixels, ('a',), np.array([0.2]), np.array([0.2]))
    tall = Recognition(pixels, words[:2], np.array([0.2, 0.1]), np.array([0.7, 0.3]))
    assert one.draw().height <= tall.draw().height


def test_points_have_the_names_of_sam():
    record = answers(60, 80)['points'].record()
    assert np.array(record['point_coords']).shape == (6, 2)
    assert record['point_labels'] == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize('opacity', [-0.1, 1.1, float('nan')])
def test_opacity_out_of_range(opacity):
    for name, answer in answers(60, 80).items():
        if name != 'recognition':
            with pytest.raises(ValueError, match=r'opacity must lie between 0 and 1'):
                answer.draw(opacity)


def test_background_is_black_and_no_other_class_is():
    labels = np.zeros((30, 44), int)
    with_background = Segmentation(photos.photo(), labels, ('Background', 'cat')).colours()
    assert with_background[0] == [0, 0, 0]
    assert [0, 0, 0] not in with_background[1:]
    assert [0, 0, 0] not in Segmentation(photos.photo(), labels, ('cat', 'dog')).colours()
