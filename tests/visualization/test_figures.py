"""Figures: sizes, columns, colours, marks, and text in any script."""

import json
import logging

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
from mmseg_clipsurgery.visualization import figure_parts, figures, fonts

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

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
        'recognition': Recognition(pixels, WORDS, similarity[:, 0, 0]),
        'text': TextExplanation(
            pixels, 'a 猫 sat', ('a', '猫', 'sat'), relevance, 0.3, similarity[0], 'tokens'
        ),
        'points': points,
        'no points': Points(pixels, 'cat', xy[:0], np.zeros(0, np.uint8), np.zeros((2, 2), np.float32)),
        'mask': PromptedMask(pixels, points, labels > 1, 0.9),
    }


@pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES.keys())
def test_every_answer_draws_itself_at_every_size(shape):
    for name, answer in answers(*shape).items():
        picture = answer.draw()
        assert picture.mode == 'RGB'
        assert 200 <= picture.width < 4200, name
        assert picture.height < 4200, name
        assert np.asarray(picture).std() > 0, name
        if not isinstance(answer, Recognition):
            other = compare({'clip': answer, 'clip_surgery': answer, 'gem': answer})
            assert other.width > picture.width or other.height > picture.height, name


def test_comparing_one_answer_is_drawing_it():
    answer = answers(60, 80)['heat maps']
    assert np.array_equal(compare({'clip': answer}), answer.draw())
    with pytest.raises(ValueError, match=r"one kind, got \['HeatMaps', 'Points'\]"):
        compare({'a': answer, 'b': answers(60, 80)['points']})
    with pytest.raises(ValueError, match='got none'):
        compare({})


def test_answers_are_saved_by_ending(tmp_path):
    for name, answer in answers(60, 80).items():
        stem = tmp_path / 'new folder' / name.replace(' ', '_')
        for ending in ('.png', '.jpg', '.pdf', '.json', '.npz'):
            answer.save(stem.with_suffix(ending))
        with Image.open(stem.with_suffix('.png')) as picture:
            assert picture.info['dpi'] == pytest.approx((300, 300), abs=0.1)
            assert picture.size == answer.draw().size
        record = json.loads(stem.with_suffix('.json').read_text(encoding='utf-8'))
        assert (record['height'], record['width']) == (60, 80)
        with np.load(stem.with_suffix('.npz')) as arrays:
            assert set(arrays) == set(answer.arrays())
        with pytest.raises(ValueError, match=r'no ending of a picture; give one such as \.png'):
            answer.save(stem.with_suffix('.docx'))
    assert not list(tmp_path.rglob('*.tmp'))


def test_label_maps_and_masks_are_saved_as_they_are(tmp_path):
    made = answers(60, 80)
    made['segmentation'].save_labels(tmp_path / 'labels.png')
    assert np.array_equal(Image.open(tmp_path / 'labels.png'), made['segmentation'].labels)
    made['mask'].save_mask(tmp_path / 'mask.png')
    assert np.array_equal(np.asarray(Image.open(tmp_path / 'mask.png')) > 0, made['mask'].mask)
    shares = made['segmentation'].shares()
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_points_have_the_names_of_sam():
    record = answers(60, 80)['points'].record()
    assert np.array(record['point_coords']).shape == (6, 2)
    assert record['point_labels'] == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize('opacity', [-0.1, 1.1, float('nan')])
def test_opacity_out_of_range(opacity):
    for name, answer in answers(60, 80).items():
        if name != 'recognition':
            with pytest.raises(ValueError, match=r'opacity must be in \[0, 1\]'):
                answer.draw(opacity)


def test_opacity_blends_photo_and_colours():
    pixels, heat = photos.photo(300, 400), np.linspace(0, 1, 300 * 400).reshape(300, 400)
    assert np.array_equal(figures.heat_overlay(pixels, heat, 0.0), pixels)
    colours = np.asarray(figures.heat_overlay(pixels, heat, 1.0))
    assert np.array_equal(colours[0, 0], figures.heat_colours()[0])
    assert np.array_equal(colours[-1, -1], figures.heat_colours()[-1])
    half = np.asarray(figures.heat_overlay(pixels, heat, 0.5)).astype(int)
    assert np.abs(half - (pixels.astype(int) + colours) / 2).max() <= 1


@pytest.mark.parametrize(
    ('shape', 'shown'),
    [
        pytest.param((375, 500), (375, 500), id='as it is'),
        pytest.param((3000, 4000), (720, 960), id='large'),
        pytest.param((96, 96), (256, 256), id='small'),
        pytest.param((40, 800), (48, 960), id='wide'),
        pytest.param((1, 5000), (1, 960), id='line'),
    ],
)
def test_panel_size(shape, shown):
    pixels = np.zeros((*shape, 3), np.uint8)
    assert figures.panel_size(pixels) == shown
    assert figures.panel(pixels).size == shown[::-1]


@pytest.mark.parametrize(
    ('size', 'count', 'columns'), [((500, 375), 6, 3), ((960, 100), 5, 1), ((60, 900), 5, 5)]
)
def test_gallery_makes_a_page(size, count, columns):
    panels = [(str(number), Image.new('RGB', size, (number, 0, 200))) for number in range(count)]
    picture = np.asarray(figures.gallery(panels))
    row = picture[picture.shape[0] // (2 * -(-count // columns)) + 30]
    shown = sorted({tuple(colour) for colour in row.tolist() if colour[2] == 200 and colour[1] == 0})
    assert shown == [(number, 0, 200) for number in range(columns)]


def test_low_rows_have_their_titles_above():
    images = [Image.new('RGB', (400, 40), 'blue')] * 2
    low = figures.table([('a rather long title', images)], ['one', 'two'])
    high = figures.table([('a title', [image.resize((400, 300)) for image in images])], ['one', 'two'])
    assert low.width < high.width  # no room at the left


def test_labels_have_colours_of_their_own():
    for count in (1, 20, 60, 300):
        colours = figure_parts.label_colours(count)
        assert len(colours) == count
        assert len({tuple(colour) for colour in colours}) >= min(count, 250)
    background = Segmentation(photos.photo(), np.zeros((30, 44), int), ('Background', 'cat'))
    assert background.colours()[0] == [0, 0, 0]
    assert Segmentation(photos.photo(), np.zeros((30, 44), int), ('cat', 'dog')).colours()[0] != [0, 0, 0]


def test_marks_are_where_the_points_are():
    shown = Image.new('RGB', (300, 200), 'black')
    marked = np.asarray(figure_parts.mark_points(shown, np.array([[50, 150], [250, 40]]), np.array([1, 0])))
    green, red = marked[153, 53], marked[43, 253]
    assert green[1] > green[0]
    assert red[0] > red[1]
    assert not marked[:, 100:200].any()


def test_bars_show_signs_and_sizes():
    picture = np.asarray(figure_parts.bars(['a', 'b', 'c'], [0.2, -0.1, 0.1], 400, 14)).astype(int)
    line = fonts.line_height(14) + 4
    rows = [picture[figures.MARGIN + index * line + line // 2] for index in range(3)]
    green = [int((row[:, 1] > row[:, 0] + 50).sum()) for row in rows]
    red = [int((row[:, 0] > row[:, 1] + 50).sum()) for row in rows]
    assert green[1] == red[0] == red[2] == 0
    assert green[0] == pytest.approx(2 * green[2], abs=3)
    assert red[1] == pytest.approx(green[2], abs=3)
    figure_parts.bars(['a'], [0.0], 400, 14)


def test_wrap():
    text = 'a title that is too long for its column by far'
    lines = fonts.wrap(text, 16, 120, 10)
    assert ' '.join(lines) == text
    assert all(fonts.text_width(line, 16) <= 120 for line in lines)
    two = fonts.wrap(text, 16, 120, 2)
    assert len(two) == 2
    assert two[1].endswith('…')
    assert all(fonts.text_width(line, 16) <= 120 for line in two)
    assert ''.join(fonts.wrap('unbreakable' * 5, 16, 120, 10)) == 'unbreakable' * 5
    assert fonts.wrap('', 16, 120, 2) == ['']
    assert fonts.wrap('wide', 16, 1, 1) == ['…']


def own_font(path, characters: str) -> str:
    """A font of full squares for these characters and nothing else."""
    names = {ord(character): f'glyph{index}' for index, character in enumerate(characters)}
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(['.notdef', *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf(dict.fromkeys(('.notdef', *names.values()), square))
    builder.setupHorizontalMetrics(dict.fromkeys(('.notdef', *names.values()), (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({'familyName': 'Squares', 'styleName': 'Regular'})
    builder.setupOS2()
    builder.setupPost()
    builder.save(str(path))
    return str(path)


@pytest.fixture
def fresh_fonts(monkeypatch):
    """The choice of fonts is made again, and forgotten after the test."""
    fonts.font_of.cache_clear()
    fonts._say_missing.cache_clear()
    yield monkeypatch
    fonts.font_of.cache_clear()
    fonts._say_missing.cache_clear()


def test_a_character_is_drawn_in_a_font_that_has_it(tmp_path, fresh_fonts):
    broken = tmp_path / 'broken.ttf'
    broken.write_text('no font')
    squares = own_font(tmp_path / 'squares.ttf', '猫犬')
    fresh_fonts.setattr(fonts, 'system_fonts', lambda: (str(broken), squares))
    assert fonts.runs('cat 猫犬 und ж') == [
        (fonts.DEJAVU, 'cat '),
        (squares, '猫犬 '),
        (fonts.DEJAVU, 'und ж'),
    ]
    canvas = Image.new('L', (200, 40), 'white')
    fonts.draw_text(ImageDraw.Draw(canvas), (5, 2), '猫', 20)
    drawn = np.asarray(canvas)
    assert (drawn == 0).sum() == pytest.approx(16 * 16, rel=0.15)  # 0.8 of 20 pixels, filled
    assert fonts.text_width('猫', 20) == pytest.approx(20, abs=1)


def test_combining_marks_stay_with_their_letter(tmp_path, fresh_fonts):
    squares = own_font(tmp_path / 'squares.ttf', '猫')
    fresh_fonts.setattr(fonts, 'system_fonts', lambda: (squares,))
    assert fonts.runs('e\u0301猫\u0301') == [(fonts.DEJAVU, 'e\u0301'), (squares, '猫\u0301')]


def test_a_missing_font_is_said_once(fresh_fonts, caplog):
    fresh_fonts.setattr(fonts, 'system_fonts', lambda: ())
    with caplog.at_level(logging.WARNING, 'mmseg_clipsurgery'):
        assert fonts.runs('猫 and 犬') == [(fonts.DEJAVU, '猫 and 犬')]
        fonts.runs('鳥')
    assert len(caplog.records) == 1
    assert 'CJK' in caplog.text
    assert 'fonts-noto-cjk' in caplog.text


def test_system_fonts_are_ranked_and_usable():
    for path in fonts.system_fonts()[:3]:
        assert isinstance(fonts.coverage(path), frozenset)
    assert ord('a') in fonts.coverage(fonts.DEJAVU)
    assert fonts.coverage('missing.ttf') == frozenset()
