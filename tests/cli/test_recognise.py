"""What `recognise` says of a photo in a line."""

from mmseg_clipsurgery.api.results import Recognition
from mmseg_clipsurgery.cli.recognise import tell

import numpy as np
import pytest


@pytest.mark.parametrize(
    ('words', 'presence', 'scores', 'said'),
    [
        (
            ('cat', 'dog', 'sky'),
            [0.2, 0.9, 0.5],
            [0.1, 0.7, 0.2],
            'is there: dog 0.90, sky 0.50; fits best: dog 0.70,',
        ),
        (
            ('cat', 'dog'),
            [0.2, 0.4],
            [0.1, 0.9],
            'no word is there, likeliest: dog 0.40, cat 0.20; fits best: dog',
        ),
        (('Background', 'cat'), [1.0, 0.7], [0.9, 0.1], 'is there: cat 0.70'),
        (('cat',), [0.7], [0.7], 'is there: cat 0.70'),
        (('cat',), [0.3], [0.3], 'no word is there, likeliest: cat 0.30'),
    ],
    ids=['some', 'none', 'the background is no thing', 'one', 'not the one'],
)
def test_absent_words_and_the_background_are_not_said_to_be_there(words, presence, scores, said):
    found = Recognition(np.zeros((4, 4, 3), np.uint8), words, np.array(presence), np.array(scores))
    assert tell(found).startswith(said)
    assert 'ackground' not in tell(found)
