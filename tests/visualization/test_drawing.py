"""Pictures of label maps: colours where labels are, every name in the legend, any number of classes."""

from mmseg_clipsurgery.visualization.drawing import classes_by_area, overlay, picture
from mmseg_clipsurgery.visualization.palette import voc_palette

import numpy as np

BLACK = np.zeros((4, 6, 3), np.uint8)
COLOURS = [(200, 0, 0), (0, 100, 0)]


def test_overlay():
    labels = np.array([[0, 1, 255, -1, 2, 0]] * 4)
    row = overlay(BLACK + 100, labels, COLOURS, opacity=0.5)[0].tolist()
    left_alone = [100, 100, 100]
    assert row == [[150, 50, 50], [50, 100, 50], left_alone, left_alone, left_alone, [150, 50, 50]]


def test_classes_by_area():
    assert classes_by_area([np.array([[2, 2, 0]]), np.array([[0, 0, 255]])], 3) == [0, 2]


def test_thousands_of_classes_have_colours_of_their_own():
    assert len(set(map(tuple, voc_palette(2000)))) == 2000


def test_every_name_of_a_long_legend_is_there():
    legend = [(f'a rather long class name {index}', (index, 255 - index, 7)) for index in range(100)]
    panel = np.full((96, 96, 3), 128, np.uint8)
    drawn = picture([[panel, panel], [panel, panel]], ['image', 'prediction'], legend)
    shown = {tuple(colour) for colour in np.asarray(drawn).reshape(-1, 3).tolist()}
    assert {colour for _, colour in legend} <= shown
    assert drawn.height > 4 * 96


def test_rows_of_different_sizes_and_no_legend():
    rows = [[np.full((high, wide, 3), 9, np.uint8)] * 2 for high, wide in ((200, 300), (300, 200))]
    pixels = np.asarray(picture(rows, ['image', 'truth'], []))
    assert (pixels == 9).all(-1).sum() == 4 * 200 * 300
