"""Same-label maps: a first reading's labels as a bias of a second one (ResCLIP's SFR).

    scores   cosines of the first reading, bilinear to the image, PAMR(10 iterations, dilations 8 and 16), softmax over
             queries at the logit scale; the best query of each pixel; query 0 where its score is below `floor`
    labels   the most frequent query of each patch; of equals the smallest
    M_ij     1 where patches i and j have one label, else 0;  one label but not connected: exp(-steps / far)
             steps = Chebyshev distance of i and j, far = the largest of the grid
    M        every row smoothed along the raster order by a Gaussian, then divided by its sum + 1e-8
    second   softmax( scale ((1 - share) s p p^T + share M / max(M)) + ... )             p = k, q or both

Connected: the straight line from i to j is sampled at the fractions m / far of its length, m = 0, 1, ..., steps,
each rounded to a patch, and all of these have the label. So of the line between near patches only the beginning is
looked at; the authors' numbers hold it so.

Source: ResCLIP (arXiv 2411.15851), with the constants of its released code. `M / max(M)` and `share` times it are
rounded to half precision there, in every precision of the tower.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..refine import pamr

ITERATIONS, DILATIONS = 10, (8, 16)  # of PAMR
SMOOTHING_STD = 5.0  # patches
MOST_TAPS = 31
EPSILON = 1e-8


class Feedback(NamedTuple):
    """What the second reading adds to the logits of its attention.

    Attributes:
        bias: "b n n", all tokens, class token first: `share` times the same-label map, which is at most 1.
        scale: what the mixed logits are multiplied by.
        share: of the bias in the mixed logits, in [0, 1].
    """

    bias: Tensor
    scale: float
    share: float


# (images "b 3 H W", the first reading "b c h w", pixels per patch side) -> what the second reading adds.
FeedbackRule = Callable[[Tensor, Tensor, int], Feedback]


@dataclass(frozen=True)
class SameLabelFeedback:
    """How a first reading becomes the `Feedback` of a second one.

    Args:
        queries: "q c", L2-normalised; two or more.
        logit_scale: what cosines are multiplied by before the softmax.
        scale, share: as in `Feedback`.
        floor: pixels whose best score is below it get query 0.

    Raises:
        ValueError: fewer than two queries, or a setting out of range.
    """

    queries: Tensor
    logit_scale: float
    scale: float
    share: float
    floor: float

    def __post_init__(self) -> None:
        if self.queries.dim() != 2 or len(self.queries) < 2:
            raise ValueError(
                'feedback labels the patches by the words of a vocabulary, so it needs two or more, got queries of '
                f'shape {tuple(self.queries.shape)}; give more words or leave feedback out'
            )
        if not (self.scale > 0 and 0 <= self.share <= 1 and 0 <= self.floor <= 1):
            raise ValueError(
                'feedback needs scale > 0 and share and floor in [0, 1], got '
                f'{self.scale}, {self.share} and {self.floor}'
            )

    def __call__(self, images: Tensor, patch_tokens: Tensor, patch: int) -> Feedback:
        """The second reading's bias.

        Args:
            images: "b 3 H W", what the tower has read, normalised.
            patch_tokens: "b c h w", the first reading, not normalised.
            patch: pixels per patch side.
        """
        grid = (patch_tokens.shape[2], patch_tokens.shape[3])
        with torch.autocast(images.device.type, enabled=False):
            unit = F.normalize(patch_tokens.float(), dim=1)
            logits = torch.einsum('bchw,qc->bqhw', unit, self.queries.to(unit))
            scores = query_scores(images.float(), logits, self.logit_scale)
            similarity = same_label_map(patch_labels(scores, grid, patch, self.floor))
        return Feedback(halved_bias(similarity, self.share).to(patch_tokens.dtype), self.scale, self.share)


def query_scores(images: Tensor, logits: Tensor, logit_scale: float) -> Tensor:
    """Scores of every query at every pixel, refined by the image.

    Args:
        images: "b 3 H W", any range.
        logits: "b q h w", cosines.
        logit_scale: what they are multiplied by before the softmax.

    Returns:
        "b q H W", sums to 1 over the queries.
    """
    size = (images.shape[2], images.shape[3])
    logits = F.interpolate(logits, size, mode='bilinear', align_corners=False)
    return (logit_scale * pamr(images, logits, ITERATIONS, DILATIONS)).softmax(dim=1)


def patch_labels(scores: Tensor, grid: tuple[int, int], patch: int, floor: float) -> Tensor:
    """The query of every patch: the most frequent one of its pixels, of equals the smallest.

    Args:
        scores: "b q H W"; pixels beyond the grid's patches are not looked at.
        grid: (h, w).
        patch: pixels per patch side.
        floor: pixels whose best score is below it get query 0.

    Returns:
        "b h w", int64.
    """
    best, labels = scores[:, :, : grid[0] * patch, : grid[1] * patch].max(dim=1)
    labels = labels.masked_fill(best < floor, 0)
    pixels = labels.unflatten(2, (grid[1], patch)).unflatten(1, (grid[0], patch)).transpose(2, 3).flatten(3)
    counts = torch.zeros(*pixels.shape[:3], scores.shape[1], device=scores.device)
    counts = counts.scatter_add_(3, pixels, torch.ones_like(pixels, dtype=counts.dtype))
    return (counts == counts.amax(dim=-1, keepdim=True)).int().argmax(dim=-1)


def same_label_map(labels: Tensor) -> Tensor:
    """Which patches have one label, smoothed: labels "b h w" -> "b 1+n 1+n", 0 from and to the class token."""
    grid = (labels.shape[1], labels.shape[2])
    flat = labels.flatten(1)
    same = flat[:, :, None] == flat[:, None]
    steps = chebyshev_distances(grid, labels.device)
    far = max(grid[0] - 1, grid[1] - 1, 1)
    apart = torch.exp(-steps.float() / far)
    near = same.float() * torch.where(connected(flat, grid, steps), 1.0, apart)
    smooth = smoothed_rows(near)
    return F.pad(smooth / (smooth.sum(dim=-1, keepdim=True) + EPSILON), (1, 0, 1, 0))


def chebyshev_distances(grid: tuple[int, int], device: torch.device) -> Tensor:
    """max(|dy|, |dx|) of every two patches, "n n", int64."""
    places = cells(grid, device)
    return (places[:, None] - places).abs().amax(dim=-1)


def cells(grid: tuple[int, int], device: torch.device) -> Tensor:
    """(row, column) of every patch, "n 2", int64."""
    rows, columns = (torch.arange(side, device=device) for side in grid)
    return torch.cartesian_prod(rows, columns).reshape(-1, 2)


def connected(labels: Tensor, grid: tuple[int, int], steps: Tensor) -> Tensor:
    """Whether the sampled part of the line between two patches has the first one's label all along.

    Args:
        labels: "b n", row by row.
        grid: (h, w).
        steps: "n n", Chebyshev distances.

    Returns:
        "b n n", bool; means something where both patches have one label.
    """
    places = cells(grid, labels.device).float()
    far = max(grid[0] - 1, grid[1] - 1, 1)
    whole = torch.ones(len(labels), len(places), len(places), dtype=torch.bool, device=labels.device)
    for count, fraction in enumerate(torch.linspace(0, 1, far + 1, device=labels.device)):
        # Rounds halves to the even patch.
        sampled = (places[:, None] * (1 - fraction) + places * fraction).round().long()
        index = sampled[..., 0] * grid[1] + sampled[..., 1]
        whole &= (labels[:, index] == labels[:, :, None]) | (steps < count)
    return whole


def smoothed_rows(similarity: Tensor) -> Tensor:
    """Rows "b n n" smoothed along the raster order, as if there were zeros beyond."""
    count = similarity.shape[-1]
    taps = min(count, MOST_TAPS)
    taps += 1 - taps % 2
    offsets = torch.arange(taps, dtype=torch.float32, device=similarity.device) - taps // 2
    kernel = torch.exp(-0.5 * (offsets / SMOOTHING_STD).square())
    rows = similarity.reshape(-1, 1, count)
    return F.conv1d(rows, (kernel / kernel.sum())[None, None], padding=taps // 2).view_as(similarity)


def halved_bias(similarity: Tensor, share: float) -> Tensor:
    """share M / max(M) of every image "b n n", rounded to half precision after either step, in float32."""
    most = similarity.amax(dim=(-2, -1), keepdim=True)
    return (share * (similarity / most).half()).half().float()
