"""Keys of colours, bars and lines of text."""

from mmseg_clipsurgery.visualization import figures, fonts, legends
from mmseg_clipsurgery.visualization.panels import heat_colours

import numpy as np
import pytest


def test_bars_show_signs_and_sizes():
    picture = np.asarray(legends.bars(['a', 'b', 'c'], [0.2, -0.1, 0.1], 400, 14)).astype(int)
    line = fonts.line_height(14) + 4
    rows = [picture[figures.MARGIN + index * line + line // 2] for index in range(3)]
    green = [int((row[:, 1] > row[:, 0] + 50).sum()) for row in rows]
    red = [int((row[:, 0] > row[:, 1] + 50).sum()) for row in rows]
    assert green[1] == red[0] == red[2] == 0
    assert green[0] == pytest.approx(2 * green[2], abs=3)
    assert red[1] == pytest.approx(green[2], abs=3)


def test_a_bar_of_zero_has_no_length():
    picture = np.asarray(legends.bars(['a'], [0.0], 400, 14)).astype(int)
    green = picture[..., 1] > picture[..., 0] + 50
    assert green.sum(1).max() <= 1  # what the zero line leaves of it


def test_the_key_of_heat_shows_every_colour_from_cold_to_hot():
    picture = np.asarray(legends.heat_key(800, 14, 'low', 'high'))
    row = picture[figures.MARGIN + 5].tolist()
    cold, hot = heat_colours()[0].tolist(), heat_colours()[-1].tolist()
    assert row.index(cold) < row.index(hot)
    assert row.index(hot) - row.index(cold) > 200


def test_a_note_that_does_not_fit_is_left_out():
    narrow = legends.heat_key(300, 14, note='each map on its own scale')
    assert np.array_equal(narrow, legends.heat_key(300, 14))
    assert not np.array_equal(legends.heat_key(900, 14, note='a note'), legends.heat_key(900, 14))


@pytest.mark.slow
@pytest.mark.parametrize('width', [220, 700])
def test_every_entry_of_a_colour_key_is_drawn_within_its_width(width):
    entries = [(f'class with a long name {index}', (index, 255 - index, 7)) for index in range(100)]
    picture = np.asarray(legends.colour_key(entries, width, 14))
    assert picture.shape[1] == width
    shown = set(map(tuple, picture.reshape(-1, 3).tolist()))
    assert {colour for _, colour in entries} <= shown


def test_text_is_wrapped_into_the_lines_there_are():
    one, four = (legends.text_strip(['a long sentence ' * 20], 200, 14, lines).height for lines in (1, 4))
    assert four - one == 3 * fonts.line_height(14)
