"""Panels: their sizes, colours of heat, marks."""

import photos
from mmseg_clipsurgery.visualization import panels

import numpy as np
import pytest
from PIL import Image


def test_opacity_blends_photo_and_colours():
    pixels, heat = photos.photo(300, 400), np.linspace(0, 1, 300 * 400).reshape(300, 400)
    assert np.array_equal(panels.heat_overlay(pixels, heat, 0.0), pixels)
    colours = np.asarray(panels.heat_overlay(pixels, heat, 1.0))
    assert np.array_equal(colours[0, 0], panels.heat_colours()[0])
    assert np.array_equal(colours[-1, -1], panels.heat_colours()[-1])
    half = np.asarray(panels.heat_overlay(pixels, heat, 0.5)).astype(int)
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
def test_panels_are_enlarged_or_reduced_to_what_can_be_seen(shape, shown):
    pixels = np.zeros((*shape, 3), np.uint8)
    assert panels.panel_size(pixels) == shown
    assert panels.panel(pixels).size == shown[::-1]


def test_marks_are_where_the_points_are():
    shown = Image.new('RGB', (300, 200), 'black')
    marked = np.asarray(panels.mark_points(shown, np.array([[50, 150], [250, 40]]), np.array([1, 0])))
    green, red = marked[153, 53], marked[43, 253]
    assert green[1] > green[0]
    assert red[0] > red[1]
    assert not marked[:, 100:200].any()


def test_a_marked_cell_keeps_what_it_surrounds():
    shown = Image.new('RGB', (100, 80), (9, 9, 9))
    marked = np.asarray(panels.mark_cell(shown, (20, 30, 40, 50)))
    changed = (marked != 9).any(-1)
    assert changed[30, 20:41].all()
    assert changed[30:51, 40].all()
    assert not changed[35:46, 25:36].any()
    assert not changed[:26].any()
