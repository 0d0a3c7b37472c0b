"""Multi-label recognition: scores of classes from class token and texts."""

import math

from mmseg_clipsurgery.recognition import (
    classes_kept,
    pair_probability,
    recognition_scores,
    word_presence,
)
from mmseg_clipsurgery.structures import TextQueries

import pytest
import torch
from torch.nn.functional import normalize, one_hot


def test_scores_are_a_softmax_over_queries_and_the_best_of_a_class():
    random = torch.Generator().manual_seed(0)
    cls = torch.randn(2, 8, generator=random)
    text = normalize(torch.randn(3, 8, generator=random), dim=1)
    separate = recognition_scores(cls, TextQueries(text, torch.arange(3)), 'paper', 10.0)
    torch.testing.assert_close(separate, (10 * normalize(cls, dim=1) @ text.T).softmax(-1))
    shared = recognition_scores(cls, TextQueries(text, torch.tensor([0, 1, 0])), 'paper', 10.0)
    torch.testing.assert_close(shared, torch.stack([separate[:, [0, 2]].amax(1), separate[:, 1]], 1))
    released = recognition_scores(cls, TextQueries(text, torch.arange(3)), 'released', 10.0)
    assert not torch.allclose(released, separate)
    one = TextQueries(text[:1], torch.zeros(1, dtype=torch.long), text[1:2])
    expected = (10 * normalize(cls, dim=1) @ (text[0] - text[1])).sigmoid()
    torch.testing.assert_close(recognition_scores(cls, one, logit_scale=10.0)[:, 0], expected)


def test_presence_is_of_each_word_by_itself():
    random = torch.Generator().manual_seed(1)
    cls, text = torch.randn(3, 8, generator=random), normalize(torch.randn(4, 8, generator=random), dim=1)
    queries = TextQueries(text[:3], torch.tensor([0, 1, 1]))
    found = word_presence(cls, queries, text[3:], 5.0)
    expected = (5 * normalize(cls, dim=1) @ (text[:3] - text[3]).T).sigmoid()
    torch.testing.assert_close(found, torch.stack([expected[:, 0], expected[:, 1:].amax(1)], 1))


def test_scale():
    text = one_hot(torch.arange(2), 4).float()
    with pytest.raises(ValueError, match='logit_scale must be above 0, got 0'):
        recognition_scores(torch.ones(1, 4), TextQueries(text, torch.arange(2)), logit_scale=0)


@pytest.mark.parametrize(
    ('least', 'has_background', 'kept'),
    [
        (0.0, False, [True, True, True, True]),
        (0.5, False, [False, True, False, True]),
        (0.95, False, [False, True, False, False]),
        (0.95, True, [True, False, False, False]),
        (0.85, True, [True, True, False, False]),
        (0.9, False, [False, True, False, False]),
    ],
    ids=[
        'none is absent',
        'by presence',
        'the best stays',
        'the background alone',
        'so does the background',
        'equal is present',
    ],
)
def test_classes_kept(least, has_background, kept):
    presence = torch.tensor([0.1, 0.9, 0.4, 0.6])
    found = classes_kept(presence, least, has_background)
    assert found.classes.tolist() == kept
    assert found.none_present == (least == 0.95)


def test_pair_probability_is_a_sigmoid_of_each_pair():
    random = torch.Generator().manual_seed(2)
    cls, text = torch.randn(3, 8, generator=random), normalize(torch.randn(3, 8, generator=random), dim=1)
    pairs = (100 * normalize(cls, dim=1) @ text.T - 12).sigmoid()
    torch.testing.assert_close(pair_probability(cls, TextQueries(text, torch.arange(3)), 100.0, -12.0), pairs)
    two = pair_probability(cls, TextQueries(text, torch.tensor([0, 1, 0])), 100.0, -12.0)
    torch.testing.assert_close(two, torch.stack([pairs[:, [0, 2]].amax(1), pairs[:, 1]], dim=1))


@pytest.mark.parametrize('least', [-0.1, 1.1, math.nan])
def test_a_least_presence_that_is_no_probability_is_refused(least):
    with pytest.raises(ValueError, match='min_presence must lie between 0 and 1, got'):
        classes_kept(torch.tensor([0.5]), least, False)
