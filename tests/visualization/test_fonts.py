"""Text in any script: each character in a font that has it, lines cut where they end."""

import logging

from mmseg_clipsurgery.visualization import fonts

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw


def test_wrapped_lines_fit_and_lose_no_word():
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


def test_plain_sans_serif_faces_come_first(monkeypatch):
    found = ['/f/NotoSerif.ttf', '/f/NotoSans-Bold.ttf', '/f/NotoSans.ttf', '/f/simhei.ttf', '/f/Mono.ttf']
    monkeypatch.setattr(fonts.font_manager, 'findSystemFonts', lambda: found)
    ranked = fonts.system_fonts.__wrapped__()
    assert ranked == (
        '/f/NotoSans.ttf',
        '/f/simhei.ttf',
        '/f/NotoSerif.ttf',
        '/f/NotoSans-Bold.ttf',
        '/f/Mono.ttf',
    )


def test_a_file_that_is_no_font_covers_nothing():
    assert ord('a') in fonts.coverage(fonts.DEJAVU)
    assert fonts.coverage('missing.ttf') == frozenset()
