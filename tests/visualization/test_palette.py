"""Colours of labels: enough of them, and whose they are."""

from mmseg_clipsurgery.scenes.spec import GROUND_COLOURS
from mmseg_clipsurgery.visualization.palette import class_colours, label_colours, voc_palette

import numpy as np
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


def oklab(colours) -> np.ndarray:
    """RGB in [0, 255] "n 3" -> OKLab, where distances are those that people see (Ottosson 2020)."""
    value = np.asarray(colours, dtype=float) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(
        linear
        @ np.array(
            [
                [0.4122214708, 0.2119034982, 0.0883024619],
                [0.5363325363, 0.6806995451, 0.2817188376],
                [0.0514459929, 0.1073969566, 0.6299787005],
            ]
        )
    )
    return cones @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def test_colours_of_the_scenes_differ_from_each_other_and_from_every_ground():
    """So that no label is taken for a ground that shows through; 0.02 is what people can just see."""
    labels = oklab(label_colours(14))
    tones = oklab(np.concatenate([np.linspace(dark, light, 9) for dark, light in GROUND_COLOURS.values()]))
    between = np.linalg.norm(labels[:, None] - labels[None], axis=2) + np.eye(14)
    assert between.min() > 0.12
    assert np.linalg.norm(labels[:, None] - tones[None], axis=2).min() > 0.12
