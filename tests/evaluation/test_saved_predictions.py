"""Names and depth of saved predictions."""

from mmseg_clipsurgery.evaluation.saved_predictions import file_name, write_labels, write_scores

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(
    ('folder', 'expected'),
    [pytest.param('/d', 'a/1.x.png', id='below'), pytest.param(None, '1.x.png', id='alone')],
)
def test_a_file_is_named_as_its_image(folder, expected):
    assert file_name('/d/a/1.x.jpg', folder, '.png') == expected


@pytest.mark.parametrize(
    ('classes', 'offset', 'mode'),
    [
        pytest.param(255, 0, 'L', id='labels to 254'),
        pytest.param(254, 1, 'L', id='labels to 254, from 1'),
        pytest.param(256, 0, 'I;16', id='a class would be 255'),
        pytest.param(255, 1, 'I;16', id='a class would be 255, from 1'),
    ],
)
def test_no_class_is_saved_as_the_ignored_label(tmp_path, classes, offset, mode):
    labels = np.array([[0, classes - 1]])
    write_labels(tmp_path / 'new' / 'a.png', labels, classes, offset)
    with Image.open(tmp_path / 'new' / 'a.png') as image:
        assert image.mode == mode
        assert np.asarray(image).tolist() == (labels + offset).tolist()


def test_scores_are_half_floats(tmp_path):
    scores = np.random.default_rng(0).random((3, 4, 5), np.float32)
    write_scores(tmp_path / 'a.npz', scores)
    with np.load(tmp_path / 'a.npz') as file:
        assert file['scores'].dtype == np.float16
        assert np.array_equal(file['scores'], scores.astype(np.float16))
