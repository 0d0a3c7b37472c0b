"""Which images of a split calibrate, and in which labels their truth is written."""

from mmseg_clipsurgery.evaluation.calibration_data import chosen, relabelling
from mmseg_clipsurgery.vocabulary import Vocabulary

import pytest

pytestmark = pytest.mark.mmseg
NAMES = ('fish', 'car', 'sand')


@pytest.mark.parametrize(
    ('words', 'table'),
    [
        (['fish', 'car', 'sand'], [0, 1, 2]),
        (['sand', 'fish', 'car'], [1, 2, 0]),
        (['background', 'car'], [0, 1, 0]),
        (['car', 'fish'], [1, 0, 255]),
    ],
    ids=['same', 'another order', 'others are background', 'others are ignored'],
)
def test_truth_is_written_in_the_words_that_were_asked_for(words, table):
    found = relabelling(NAMES, Vocabulary.read(words), 255)
    assert found[:3].tolist() == table
    assert (found[3:] == 255).all()
    assert len(found) == 256


def test_images_are_drawn_by_their_seed():
    first = chosen(200, 10, 0)
    assert first == chosen(200, 10, 0) == sorted(set(first))
    assert first != chosen(200, 10, 1)
    assert chosen(3, None, 0) == chosen(3, 5, 0) == [0, 1, 2]
