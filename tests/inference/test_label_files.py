"""Label maps as files: their depth."""

from mmseg_clipsurgery.inference.label_files import write_labels

import numpy as np
import pytest
from PIL import Image


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
