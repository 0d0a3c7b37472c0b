"""Same-label maps: labels of patches, connected ones, smoothing; what is refused."""

import math

import tiny
from mmseg_clipsurgery.methods.same_label import (
    SameLabelFeedback,
    halved_bias,
    patch_labels,
    same_label_map,
    smoothed_rows,
)

import pytest
import torch


def one_hot(labels: torch.Tensor, queries: int) -> torch.Tensor:
    """Scores "1 q H W" of labels "H W"."""
    return torch.nn.functional.one_hot(labels, queries).movedim(-1, 0)[None].float()


def test_the_most_frequent_query_of_a_patch_of_equals_the_smallest():
    pixels = torch.tensor([[2, 2, 1, 0], [2, 0, 0, 1], [1, 1, 3, 3], [1, 0, 3, 2]])
    found = patch_labels(one_hot(pixels, 4), (2, 2), 2, floor=0.0)
    assert found.tolist() == [[[2, 0], [1, 3]]]


def test_unsure_pixels_are_query_0_and_pixels_beyond_the_grid_are_not_seen():
    scores = one_hot(torch.tensor([[1, 1, 2], [1, 1, 2]]), 3)
    scores[:, :, :, 0] *= 0.3
    scores[:, :, 0, 1] *= 0.3
    assert patch_labels(scores, (1, 1), 2, floor=0.5).item() == 0
    assert patch_labels(scores, (1, 1), 2, floor=0.2).item() == 1


def loop_map(labels: torch.Tensor) -> torch.Tensor:
    """The map before its rows are smoothed, pair by pair, in double."""
    height, width = labels.shape
    cells = [(y, x) for y in range(height) for x in range(width)]
    far = max(height - 1, width - 1, 1)
    found = torch.zeros(len(cells), len(cells), dtype=torch.float64)
    for i, a in enumerate(cells):
        for j, b in enumerate(cells):
            if labels[a] != labels[b]:
                continue
            steps = max(abs(a[0] - b[0]), abs(a[1] - b[1]))
            line = [
                tuple(round(start * (1 - m / far) + end * m / far) for start, end in zip(a, b, strict=True))
                for m in range(steps + 1)
            ]
            whole = all(labels[place] == labels[a] for place in line)
            found[i, j] = 1.0 if whole else math.exp(-steps / far)
    return found


@pytest.mark.parametrize('grid', [(1, 1), (1, 6), (4, 4), (3, 6)])
def test_maps_equal_the_loop_over_pairs(grid):
    """Grids whose longer side, less one, is odd: no place on a line lies half between two patches."""
    labels = torch.randint(0, 3, (2, *grid), generator=torch.Generator().manual_seed(grid[1]))
    found = same_label_map(labels)
    assert not found[:, 0].any()
    assert not found[:, :, 0].any()
    for one, wanted in zip(found, map(loop_map, labels), strict=True):
        wanted = smoothed_rows(wanted.float()[None])[0]
        wanted = wanted / (wanted.sum(dim=-1, keepdim=True) + 1e-8)
        torch.testing.assert_close(one[1:, 1:], wanted)


def test_images_of_a_batch_have_maps_of_their_own():
    labels = torch.randint(0, 3, (3, 4, 5), generator=torch.Generator().manual_seed(1))
    together = same_label_map(labels)
    assert all(torch.equal(together[i : i + 1], same_label_map(labels[i : i + 1])) for i in range(3))


def test_smoothing_keeps_the_sum_away_from_the_ends():
    rows = torch.zeros(1, 2, 80)
    rows[0, 0, 40] = 2
    found = smoothed_rows(rows)
    torch.testing.assert_close(found.sum(dim=-1), torch.tensor([[2.0, 0.0]]))
    assert found[0, 0].argmax() == 40
    torch.testing.assert_close(found[0, 0, 45] / found[0, 0, 40], torch.tensor(math.exp(-0.5)))
    assert (found[0, 0] > 0).sum() == 31


def test_the_bias_is_rounded_to_half_precision_twice():
    similarity = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(0))
    found = halved_bias(similarity, 0.7)
    assert found.dtype == torch.float32
    assert torch.equal(found, found.half().float())
    torch.testing.assert_close(found.amax(dim=(1, 2)), torch.tensor([0.7, 0.7]), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(queries=torch.ones(1, 4)),
            r'needs two or more, got queries of shape \(1, 4\); give more words',
        ),
        (dict(queries=torch.ones(0, 4)), r'needs two or more, got queries of shape \(0, 4\)'),
        (dict(scale=0), 'scale > 0 and share and floor in'),
        (dict(share=1.5), r'got 1.8, 1.5 and 0.3'),
        (dict(floor=-1), 'share and floor in'),
    ],
    ids=['one word', 'no words', 'scale', 'share', 'floor'],
)
def test_feedback_that_is_none_is_refused(changes, message):
    settings = dict(queries=tiny.images(3, 4), logit_scale=40.0, scale=1.8, share=0.7, floor=0.3)
    with pytest.raises(ValueError, match=message):
        SameLabelFeedback(**{**settings, **changes})
