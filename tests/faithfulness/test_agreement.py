"""Rank correlation and structural similarity: closed forms, ties, SciPy's numbers."""

from mmseg_clipsurgery.faithfulness.agreement import mean_ranks, spearman, ssim

import numpy as np
import pytest
import torch
from torch import Tensor

MAP = torch.tensor([[0.3, 2.0, -1.0], [0.0, 5.0, 0.7]])
LEFT, TOP = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
CLOSED = {
    'itself': (MAP, MAP, 1),
    'reversed': (MAP, -MAP, -1),
    'a rising function': (MAP, MAP.exp(), 1),
    'crossed halves': (LEFT, TOP, 0),
    'flat': (MAP, torch.ones(2, 3), 0),
    'both flat': (torch.ones(2, 3), torch.ones(2, 3), 0),
}


@pytest.mark.parametrize(('first', 'second', 'rho'), CLOSED.values(), ids=CLOSED.keys())
def test_rank_correlation(first, second, rho):
    assert spearman(first, second) == pytest.approx(rho, abs=1e-12)


def test_ties_have_their_mean_rank_as_in_scipy():
    stats = pytest.importorskip('scipy.stats')
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(0, 6, (2, 5, 7), generator=generator).double()
    np.testing.assert_allclose(mean_ranks(first).numpy(), stats.rankdata(first.flatten().numpy()))
    wanted = stats.spearmanr(first.flatten(), second.flatten()).statistic
    assert spearman(first, second) == pytest.approx(wanted, abs=1e-12)


def windowed(x: Tensor, y: Tensor, side: int) -> float:
    """SSIM by a loop over windows."""
    found = []
    for top in range(x.shape[0] - side + 1):
        for left in range(x.shape[1] - side + 1):
            a, b = (m[top : top + side, left : left + side].flatten().numpy() for m in (x, y))
            c = np.cov(a, b)
            means = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
            found.append(means * (2 * c[0, 1] + 9e-4) / (c[0, 0] + c[1, 1] + 9e-4))
    return float(np.mean(found))


@pytest.mark.parametrize(('grid', 'side'), [((9, 8), 7), ((4, 6), 3), ((3, 3), 3)], ids=str)
def test_structural_similarity_is_that_of_windows(grid, side):
    x, y = torch.rand(2, *grid, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    stretched = [(m - m.min()) / (m.max() - m.min()) for m in (x, y)]
    assert ssim(x, y) == pytest.approx(windowed(*stretched, side), abs=1e-9)
    assert ssim(x, x) == pytest.approx(1)
    assert ssim(5 * x + 2, y - 1) == pytest.approx(ssim(x, y))
    assert ssim(x, -x) < 0


def test_structural_similarity_of_grids_without_a_window():
    assert ssim(LEFT, LEFT) == pytest.approx(1)
