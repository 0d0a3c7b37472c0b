"""How alike two maps are: by the order of their cells, and by their structure.

    rho  = Pearson's correlation of mean ranks (Spearman)                          a flat map: 0
    SSIM = mean over windows of (2 m1 m2 + C1) (2 s12 + C2) / ((m1^2 + m2^2 + C1) (s1^2 + s2^2 + C2)),
           C1 = 0.01^2, C2 = 0.03^2, of maps stretched to [0, 1]

Any rising function of a map leaves rho as it is; SSIM sees the contrast, too. Windows are 7 x 7 cells, or the largest
odd square that fits the grid, with equal weights and the sample covariance, as scikit-image has them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..explain import unit_range

WINDOW = 7  # cells
C1, C2 = 0.01**2, 0.03**2


def spearman(first: Tensor, second: Tensor) -> float:
    """Rank correlation of two maps "h w", in [-1, 1]."""
    ranks = torch.stack([mean_ranks(first), mean_ranks(second)])
    ranks = ranks - ranks.mean(dim=1, keepdim=True)
    norms = ranks.norm(dim=1).prod()
    return float((ranks[0] @ ranks[1] / norms).clamp(-1, 1)) if norms > 0 else 0.0


def mean_ranks(values: Tensor) -> Tensor:
    """Ranks from 1 of a map's cells, those of equal ones their mean: "h w" -> "(h w)", float64."""
    _, place, counts = values.flatten().unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[place]


def ssim(first: Tensor, second: Tensor) -> float:
    """Structural similarity of two maps "h w", each stretched to [0, 1]; at most 1."""
    x, y = unit_range(torch.stack([first, second]).double())[:, None, None]
    fits = min(WINDOW, *first.shape)
    side = fits if fits % 2 else fits - 1

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, side, stride=1)

    sample = side**2 / max(side**2 - 1, 1)
    mx, my = mean(x), mean(y)
    vx, vy, vxy = (
        sample * (mean(a * b) - ma * mb) for a, b, ma, mb in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
    )
    found = (2 * mx * my + C1) * (2 * vxy + C2) / ((mx**2 + my**2 + C1) * (vx + vy + C2))
    return float(found.mean())
