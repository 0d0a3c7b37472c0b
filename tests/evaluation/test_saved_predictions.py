"""Names of saved predictions, and scores as files."""

from mmseg_clipsurgery.evaluation.saved_predictions import file_name, write_scores

import numpy as np
import pytest


@pytest.mark.parametrize(
    ('folder', 'expected'),
    [pytest.param('/d', 'a/1.x.png', id='below'), pytest.param(None, '1.x.png', id='alone')],
)
def test_a_file_is_named_as_its_image(folder, expected):
    assert file_name('/d/a/1.x.jpg', folder, '.png') == expected


def test_scores_are_half_floats(tmp_path):
    scores = np.random.default_rng(0).random((3, 4, 5), np.float32)
    write_scores(tmp_path / 'a.npz', scores)
    with np.load(tmp_path / 'a.npz') as file:
        assert file['scores'].dtype == np.float16
        assert np.array_equal(file['scores'], scores.astype(np.float16))
