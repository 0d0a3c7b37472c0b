"""Outlier tokens and their repair: planted ones are found, images apart; the formulas written out."""

import naive_newest
from mmseg_clipsurgery.methods.outliers import (
    class_outliers,
    local_outlier_scores,
    local_outliers,
    repaired,
    squared_distances,
)

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor


def tokens(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_a_planted_outlier_has_the_largest_score():
    x = tokens(2, 40, 6)
    x[0, 17] += 9
    x[1, 3] -= 9
    scores = local_outlier_scores(x, 10)
    assert scores.argmax(dim=1).tolist() == [17, 3]
    assert (scores.amax(dim=1) > 3 * scores.median(dim=1).values).all()


@pytest.mark.slow
@given(seed=st.integers(0, 2**31), neighbours=st.integers(2, 11), percent=st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_local_outliers_equal_the_formula(seed, neighbours, percent):
    """Where scores and quantiles lie a rounding step apart or more: whole percents, some of the neighbours.

    Two tokens that are each other's nearest (k = 1) or that have all others as neighbours (12) may tie.
    """
    share = percent / 100
    x = tokens(2, 13, 4, seed=seed)
    found = local_outliers(x, neighbours, share)
    for index in range(2):
        assert set(found[index].nonzero().flatten().tolist()) == naive_newest.lof_outliers(
            x[index], neighbours, share
        )


@pytest.mark.parametrize(('count', 'share', 'outliers'), [(196, 0.05, 10), (36, 0.05, 2), (20, 0.0, 0)])
def test_as_many_outliers_as_the_share_says(count, share, outliers):
    assert local_outliers(tokens(1, count, 5), 10, share).sum() == outliers


def test_far_tokens_lose_no_digits():
    x = tokens(1, 9, 4).float() + 1000
    wanted = torch.cdist(x.double(), x.double()).square()
    found = squared_distances(x)
    others = ~torch.eye(9, dtype=torch.bool)[None]
    torch.testing.assert_close(found[others].double(), wanted[others], rtol=1e-3, atol=1e-3)
    assert (found.diagonal(dim1=1, dim2=2) == -1).all()


def test_a_grid_too_small():
    with pytest.raises(ValueError, match=r"30 others, the grid has 30 patches; .*constants\['neighbours'\]"):
        local_outlier_scores(tokens(1, 30, 4), 30)
    assert local_outlier_scores(tokens(1, 31, 4), 30).isfinite().all()


@pytest.mark.parametrize(
    ('given', 'own', 'most', 'wanted'),
    [
        ([0.1, 0.3, 0.2], [0.2, 0.2, 0.2], 10, [1, 2]),
        ([0.1, 0.3, 0.2], [0.2, 0.2, 0.2], 1, [1]),
        ([0.1, 0.1, 0.1], [0.15, 0.2, 0.3], 10, []),
        ([0.0, 0.0, 0.5], [0.0, 0.0, 0.0], 3, [2]),
    ],
    ids=['more than its own', 'the largest', 'equal is none', 'nothing given'],
)
def test_class_outliers(given, own, most, wanted):
    rows = torch.tensor([given, [0.0] * 3]), torch.tensor([own, [1.0] * 3])
    found = class_outliers(*rows, gain=1.5, most=most)
    assert found[0].nonzero().flatten().tolist() == wanted
    assert not found[1].any()


@given(seed=st.integers(0, 2**31), bad=st.sets(st.integers(0, 11)), keep=st.booleans())
@settings(max_examples=25, deadline=None)
def test_repair_equals_the_loop(seed, bad, keep):
    x = tokens(2, 12, 3, seed=seed)
    outliers = torch.zeros(2, 12, dtype=torch.bool)
    outliers[0, list(bad)] = True
    found = repaired(x, outliers, (3, 4), keep)
    torch.testing.assert_close(found[0], naive_newest.repair(x[0], bad, (3, 4), keep))
    assert torch.equal(found[1], x[1])


@pytest.mark.parametrize('keep', [True, False])
def test_an_outlier_among_outliers(keep):
    x = tokens(1, 4, 3)
    found = repaired(x, torch.ones(1, 4, dtype=torch.bool), (2, 2), keep)
    assert torch.equal(found, x if keep else torch.zeros_like(x))
