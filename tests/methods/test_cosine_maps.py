"""Cosine maps against their formulas, and the images of which nothing can be told."""

import naive_newest
from mmseg_clipsurgery.methods.cosine_maps import cosines, cut, gathered, sharpened
from mmseg_clipsurgery.methods.neighbours import neighbourhood_mean
from mmseg_clipsurgery.methods.quietened import loud, quietened

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

seeds = st.integers(0, 2**31)


def tokens(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) + 0.4


@given(seed=seeds, share=st.floats(0, 1.3), gain=st.floats(0.1, 9))
@settings(max_examples=25, deadline=None)
def test_maps_equal_their_formulas(seed, share, gain):
    x = tokens(2, 7, 5, seed=seed)
    similarity = cosines(x)
    for index in range(2):
        wanted = naive_newest.cosines(x[index])
        torch.testing.assert_close(similarity[index], wanted)
        torch.testing.assert_close(
            gathered(x, similarity, 0.4)[index], naive_newest.aggregate(x[index], wanted, 0.4)
        )
        attention = sharpened(similarity, gain, share)[index]
        torch.testing.assert_close(attention.sum(dim=-1), torch.ones(7, dtype=torch.float64))
        shown = (wanted >= share * wanted.mean()).any(dim=1)
        torch.testing.assert_close(attention[shown], naive_newest.sharpened(wanted, gain, share)[shown])


def test_cut_keeps_what_is_at_the_floor():
    similarity = torch.tensor([[[1.0, 0.4, 0.39], [-1.0, 1.0, 0.5], [0.0, 0.4, 1.0]]])
    wanted = torch.tensor([[[1.0, 0.4, 0.0], [0.0, 1.0, 0.5], [0.0, 0.4, 1.0]]])
    assert torch.equal(cut(similarity, 0.4), wanted)


def test_an_image_of_one_colour_attends_evenly():
    """With a share above 1 nothing exceeds the average; the authors' code gives NaN."""
    found = sharpened(cosines(torch.ones(1, 4, 3)), 3.0, 1.2)
    torch.testing.assert_close(found, torch.full((1, 4, 4), 0.25))


def test_a_token_that_nothing_is_like_stays_finite():
    assert torch.equal(gathered(torch.ones(1, 2, 3), torch.zeros(1, 2, 2), 0.4), torch.zeros(1, 2, 3))


@pytest.mark.parametrize('grid', [(1, 1), (1, 6), (3, 2), (4, 5)])
def test_neighbourhoods_are_ninths_also_at_the_border(grid):
    x = tokens(2, grid[0] * grid[1], 3)
    wanted = torch.stack(
        [x[:, naive_newest.around(index, grid)].sum(dim=1) / 9 for index in range(x.shape[1])],
        dim=1,
    )
    torch.testing.assert_close(neighbourhood_mean(x, grid), wanted)


@given(seed=seeds, moved=st.floats(0, 1), ratio=st.floats(0.5, 4))
@settings(max_examples=25, deadline=None)
def test_loud_tokens_are_mixed_with_their_neighbourhood(seed, moved, ratio):
    x = tokens(2, 6, 8, seed=seed)
    found = quietened(x, (2, 3), (1, 6), ratio, moved)
    constants = dict(sinks=(1, 6), sink_ratio=ratio, moved=moved)
    for index in range(2):
        torch.testing.assert_close(found[index], naive_newest.quieten(constants)(x[index], (2, 3)))
    quiet = ~loud(x, (1, 6), ratio)
    assert torch.equal(found[quiet], x[quiet])
