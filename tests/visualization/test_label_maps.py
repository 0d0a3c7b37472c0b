"""Label maps drawn: colours where labels are, aligned rows, every class that occurs in the key."""

from mmseg_clipsurgery.visualization.fonts import line_height
from mmseg_clipsurgery.visualization.label_maps import class_key, classes_by_area, label_figure, label_overlay
from mmseg_clipsurgery.visualization.palette import voc_palette

import numpy as np
import pytest

SIZE = (300, 360)  # shown as it is
COLOURS = [(200, 0, 0), (0, 100, 0)]


def colours_of(image) -> set[tuple[int, ...]]:
    red, green, blue = np.asarray(image).astype(int).reshape(-1, 3).T
    packed = np.unique(red << 16 | green << 8 | blue)
    return set(
        zip((packed >> 16).tolist(), (packed >> 8 & 255).tolist(), (packed & 255).tolist(), strict=True)
    )


def test_labels_without_a_colour_leave_the_photo_as_it_is():
    pixels = np.full((*SIZE, 3), 100, np.uint8)
    labels = np.tile(np.repeat([0, 1, 255, -1, 2, 0], 60), (SIZE[0], 1))
    row = np.asarray(label_overlay(pixels, labels, COLOURS, opacity=0.5))[7, ::60].tolist()
    photo = [100, 100, 100]
    assert row == [[150, 50, 50], [50, 100, 50], photo, photo, photo, [150, 50, 50]]


@pytest.mark.parametrize('size', [(12, 20), (1200, 2000)], ids=['enlarged', 'reduced'])
def test_borders_between_labels_stay_sharp(size):
    labels = np.zeros(size, int)
    labels[:, size[1] // 2 :] = 1
    drawn = label_overlay(np.zeros((*size, 3), np.uint8), labels, COLOURS, opacity=1.0)
    assert colours_of(drawn) == set(COLOURS)


def test_opacity_beyond_1_is_refused():
    with pytest.raises(ValueError, match=r'opacity must lie between 0 and 1, got 2'):
        label_overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), int), COLOURS, opacity=2)


def test_classes_are_ordered_by_their_area_over_all_maps():
    maps = [np.array([[2, 2, 0]]), np.array([[0, 0, 255, -1]])]
    assert classes_by_area(maps, 3) == [0, 2]


@pytest.mark.slow
def test_every_class_of_a_long_list_is_in_the_key():
    classes = [f'a rather long class name {label}' for label in range(300)]
    colours = voc_palette(301)[1:]
    labels = np.arange(256 * 300).reshape(256, 300) % 300
    pixels = np.full((256, 300, 3), 128, np.uint8)
    plain = label_figure([(pixels, [labels])], ['image', 'truth'], classes, colours, opacity=0.0)
    assert set(map(tuple, colours)) <= colours_of(plain)  # the panels show the photo alone


def test_classes_that_do_not_occur_are_not_in_the_key():
    pixels, labels = np.full((256, 300, 3), 128, np.uint8), np.zeros((256, 300), int)
    figure = label_figure([(pixels, [labels])], ['image', 'truth'], ['cat', 'dog'], COLOURS, opacity=0.0)
    assert COLOURS[0] in colours_of(figure)
    assert COLOURS[1] not in colours_of(figure)


def test_the_photo_stands_left_of_its_label_maps_in_each_row():
    photos = {(0, 9, 250): (300, 400), (0, 9, 240): (400, 300)}
    rows = [
        (np.full((*size, 3), colour, np.uint8), [np.full(size, label) for label in (0, 1)])
        for colour, size in photos.items()
    ]
    pixels = np.asarray(label_figure(rows, ['image', 'truth', 'prediction'], ['cat', 'dog'], COLOURS, 1.0))
    for photo, (height, width) in photos.items():
        band = pixels[(pixels == photo).all(-1).any(1)]
        panels = [(band == colour).all(-1) for colour in (photo, *COLOURS)]
        assert [panel.sum() for panel in panels] == [height * width] * 3
        # Columns are as wide as the widest panel, 400, and 10 apart.
        assert [int(panel.any(0).argmax()) for panel in panels] == [10, 420, 830]


def test_a_figure_of_ignored_pixels_alone_has_an_empty_key():
    pixels, labels = np.full((256, 300, 3), 128, np.uint8), np.full((256, 300), 255)
    figure = label_figure([(pixels, [labels])], ['image', 'truth'], ['cat', 'dog'], COLOURS)
    assert not colours_of(figure) & set(COLOURS)


def test_the_letters_of_a_long_key_are_small():
    classes, colours = [f'class {label}' for label in range(40)], voc_palette(40)
    heights = [class_key([np.arange(count)], classes, colours, 4000, 28).height for count in (20, 30)]
    assert heights == [20 + line_height(28), 20 + line_height(14)]
