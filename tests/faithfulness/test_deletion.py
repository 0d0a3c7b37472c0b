"""Deletion and insertion: closed forms of an additive score, both ends, ties, fills, mistakes."""

import judged
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.faithfulness.deletion import (
    blur_fill,
    curve_auc,
    curves,
    deletion,
    mean_fill,
    order_of,
    shuffled,
)
from mmseg_clipsurgery.faithfulness.subjects import Settings

import numpy as np
import pytest
import torch

GRID, SIDE = (4, 5), 3
ONES = torch.ones(3, GRID[0] * SIDE, GRID[1] * SIDE)
INSIDE = torch.zeros(GRID)
INSIDE[1:3, 1:3] = 1  # 4 of 20 cells: p = 0.2
SHARE = 0.2


def additive(images: torch.Tensor) -> torch.Tensor:
    """The mean of the pixels inside."""
    pixels = INSIDE.repeat_interleave(SIDE, 0).repeat_interleave(SIDE, 1) > 0
    return images[:, :, pixels].mean(dim=(1, 2))


def areas(importance: torch.Tensor, steps: int = 20) -> tuple[float, float]:
    found = curves(additive, ONES, importance, mean_fill(ONES), steps)
    return float(curve_auc(found.deletion)), float(curve_auc(found.insertion))


@pytest.mark.parametrize('steps', [20, 10, 5])
def test_closed_forms(steps):
    assert areas(INSIDE, steps) == pytest.approx((SHARE / 2, 1 - SHARE / 2))
    assert areas(-INSIDE, steps) == pytest.approx((1 - SHARE / 2, SHARE / 2))


def test_any_order_sums_to_one_and_random_ones_are_a_half():
    torch.manual_seed(0)
    found = np.array([areas(torch.randn(GRID)) for _ in range(60)])
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert found.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.06)


def test_both_ends_are_scored():
    for steps in (1, 3, 20):
        found = curves(additive, ONES, torch.rand(GRID), mean_fill(ONES), steps)
        assert len(found.deletion) == len(found.insertion) == steps + 1
        assert (found.deletion[0], found.deletion[-1]) == (1, 0)
        assert (found.insertion[0], found.insertion[-1]) == (0, 1)


def test_a_fill_that_is_the_image_changes_nothing():
    image = torch.rand(3, 12, 15)
    found = curves(additive, image, torch.rand(GRID), image, 10)
    assert curve_auc(found.deletion) == pytest.approx(float(additive(image[None])), rel=1e-5)


def test_ties_are_in_reading_order():
    values = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    assert order_of(values).tolist() == [[2, 0], [1, 3]]
    assert order_of(values, torch.tensor([[3, 1], [0, 2]])).tolist() == [[3, 1], [0, 2]]


def test_a_shuffle_belongs_to_its_seed():
    first, again, other = (shuffled(INSIDE, seed) for seed in ('0', '0', '1'))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert sorted(first.flatten().tolist()) == list(range(20))


def test_a_reversed_map_takes_the_same_way_back():
    """Deletion by -m passes the images of insertion by m, last first; classes of one word each."""
    subjects = [judged.subject(2, 2)]
    rows = {name: EXPLAINERS[name] for name in ('clip', 'rclip')}
    found: dict[str, list] = {name: [] for name in rows}
    for name, figures in deletion(judged.clip(), rows, subjects, Settings(steps=8)):
        found[name].append(figures)
    assert len(found['clip']) == 1
    for plain, reverse in zip(found['clip'], found['rclip'], strict=True):
        for key in ('mean cosine', 'blur cosine', 'mean probability', 'blur probability'):
            assert plain[f'{key} deletion'] == pytest.approx(reverse[f'{key} insertion'], abs=1e-6)
            assert plain[f'{key} difference'] == pytest.approx(-reverse[f'{key} difference'], abs=1e-6)
            assert plain[f'{key} image'] == pytest.approx(reverse[f'{key} image'], abs=1e-6)
        assert abs(plain['mean cosine difference']) > 1e-3


def test_the_score_is_that_of_the_unmodified_clip():
    """Whatever surgery the tower is read by, scores are CLIP's own."""
    clip = judged.clip(tower=judged.tiny.vit('maskclip', judged.ARCH))
    (subject, *_) = judged.subjects()
    cosines, probability = clip.scores(subject.image[None])[0]
    token = judged.normalize(clip.tower.visual(subject.image[None]))[0].detach()
    wanted = judged.embed(['a', 'b', 'bee', 'c', 'd', 'e']) @ token
    wanted = torch.stack([wanted[0], wanted[1:3].max(), *wanted[3:]])
    torch.testing.assert_close(cosines, wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(probability, (100 * wanted).softmax(dim=0), atol=1e-3, rtol=0)


def test_the_area_is_that_of_the_trapezoid_rule():
    scores = torch.rand(8, 3, dtype=torch.float64)
    torch.testing.assert_close(curve_auc(scores), torch.trapezoid(scores, dx=1 / 7, dim=0))


def test_blur_keeps_constants_and_spreads_a_point_as_a_gaussian():
    torch.testing.assert_close(blur_fill(ONES, 2.0), ONES)
    point = torch.zeros(3, 41, 41)
    point[:, 20, 20] = 1
    found = blur_fill(point, 2.0)
    offsets = torch.arange(-20, 21).float()
    gauss = (-((offsets / 2) ** 2) / 2).exp()
    gauss = gauss / gauss.sum()
    torch.testing.assert_close(found[0], gauss[:, None] * gauss, atol=1e-4, rtol=0)


ERRORS = {
    'uneven cells': (
        lambda: curves(additive, ONES[:, :11], INSIDE, ONES[:, :11], 5),
        'divide an image .* evenly',
    ),
    'another fill': (lambda: curves(additive, ONES, INSIDE, ONES[:1], 5), 'an image and a fill'),
    'NaN': (lambda: curves(additive, ONES, INSIDE * torch.nan, ONES, 5), 'NaN or infinity'),
    'no steps': (lambda: areas(INSIDE, 0), 'steps'),
    'too many steps': (lambda: areas(INSIDE, 21), 'at most the 20 cells'),
    'no blur': (lambda: blur_fill(ONES, 0.0), 'sigma'),
}


@pytest.mark.parametrize(('action', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(action, message):
    with pytest.raises(ValueError, match=message):
        action()
