"""Colours of labels: enough of them, and whose they are."""

from mmseg_clipsurgery.visualization.palette import class_colours, label_colours, voc_palette

import pytest


def test_thousands_of_classes_have_colours_of_their_own():
    assert len(set(map(tuple, voc_palette(2000)))) == 2000


def test_voc_palette_is_that_of_the_devkit():
    assert voc_palette(22)[:4] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert voc_palette(22)[15] == [192, 128, 128]  # person


@pytest.mark.parametrize('count', [1, 20, 60, 300])
def test_label_colours_are_as_many_as_asked_for_and_differ(count):
    colours = [tuple(colour) for colour in label_colours(count)]
    assert len(colours) == count
    assert len(set(colours)) >= min(count, 250)


@pytest.mark.parametrize(
    ('palette', 'expected'),
    [
        pytest.param([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]], id='its own'),
        pytest.param([[1, 2, 3]], voc_palette(2), id='too short'),
        pytest.param(None, voc_palette(2), id='none'),
    ],
)
def test_a_data_set_without_a_whole_palette_has_the_colours_of_voc(palette, expected):
    assert class_colours({'classes': ('cat', 'dog'), 'palette': palette}) == expected
