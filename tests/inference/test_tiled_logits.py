"""Logits kept as tiles: equal to the plain chain of resizes, whatever the row chunks, and never large."""

import gc
import math
from pathlib import Path

import segmentors
from benchmarks.memory import peak
from mmseg_clipsurgery.inference.postprocess import PostProcess
from mmseg_clipsurgery.inference.tiled_logits import MANY_QUERIES, TiledLogits, window_weights
from mmseg_clipsurgery.inference.windows import window_logits
from tensor_sizes import LargestTensor

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

SEEDS = st.integers(0, 2**31 - 1)
RULES = [(None, None), (0.3, None), (None, 0.2), (0.3, 0.2)]


@st.composite
def readings(draw) -> dict:
    """Settings of `window_logits` for one image: size, crop, stride as (height, width), patch, padding, output size."""
    patch = draw(st.integers(1, 5))
    sides = []
    for _ in range(2):
        crop = draw(st.integers(patch, 24))
        size = draw(st.integers(patch, 50))
        sides.append((size, crop, draw(st.integers(1 + crop // 4, crop)), draw(st.integers(1, 70))))
    size, crop, stride, out = zip(*sides, strict=True)
    return dict(size=size, crop=crop, stride=stride, out=out, patch=patch, pad=draw(st.booleans()))


def spans(length: int, crop: int, stride: int) -> list[tuple[int, int]]:
    """Windows along one side, as MMSeg lays them."""
    found, start = [], 0
    while True:
        stop = min(start + crop, length)
        found.append((max(stop - crop, 0), stop))
        if stop == length:
            return found
        start += stride


def plain_chain(image: Tensor, size, crop, stride, out, patch: int, pad: bool) -> Tensor:
    """Window by window with `F.interpolate`: upsampled, padding cut, averaged, resized. "q H W"."""
    total, count = torch.zeros_like(image), torch.zeros(image.shape[1:])
    for top, bottom in spans(size[0], crop[0], stride[0]):
        for left, right in spans(size[1], crop[1], stride[1]):
            window = image[None, :, top:bottom, left:right]
            missing = [(-side % patch if pad else 0) for side in window.shape[2:]]
            before = [side // 2 for side in missing]
            window = F.pad(window, (before[1], missing[1] - before[1], before[0], missing[0] - before[0]))
            logits = F.interpolate(F.avg_pool2d(window, patch), size=window.shape[2:], mode='bilinear')[0]
            inside = (slice(b, b + n) for b, n in zip(before, (bottom - top, right - left), strict=True))
            total[:, top:bottom, left:right] += logits[(slice(None), *inside)]
            count[top:bottom, left:right] += 1
    return F.interpolate((total / count)[None], size=out, mode='bilinear')[0]


@pytest.mark.slow
@given(readings(), SEEDS)
@settings(max_examples=150, deadline=None)
def test_full_equals_the_plain_chain_of_resizes(reading, seed):
    (image,) = segmentors.images(reading['size'], seed=seed)
    patch = reading['patch']
    (tiled,) = window_logits(
        [image],
        lambda windows: F.avg_pool2d(windows, patch),
        reading['crop'],
        reading['stride'],
        window_batch=3,
        pad_to=patch if reading['pad'] else None,
    )
    expected = plain_chain(image, **reading)
    found = tiled.resized(reading['out']).full()
    # Positions are float32 there and here, rounded once more or less: an ulp at pixel 50 is 4e-6 of a pixel.
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=4e-6 * float(tiled.tiles.abs().max()))


def random_logits(
    seed: int, grid=(5, 6), size=(37, 23), queries: int = 7, spread: float = 1.0
) -> TiledLogits:
    """One window over the whole image, logits of white noise, resized once."""
    random = torch.Generator().manual_seed(seed)
    rows, columns = (
        window_weights(4 * side, [(0, 4 * side)], side, before=0, padded=4 * side) for side in grid
    )
    tiles = spread * torch.randn(*grid, queries, generator=random)
    return TiledLogits(tiles, rows, columns).resized(size)


def test_a_row_of_weights_sums_to_one():
    """Logits are means: whatever the grid, constant logits stay what they are."""
    tiled = random_logits(0)
    torch.testing.assert_close(tiled.rows.sum(dim=1), torch.ones(37, dtype=torch.float64))
    torch.testing.assert_close(tiled.columns.sum(dim=1), torch.ones(23, dtype=torch.float64))


@given(SEEDS, st.integers(1, 40), st.sampled_from(RULES))
@settings(max_examples=20, deadline=None)
def test_row_chunks_of_any_memory_give_the_same_labels(seed, rows, thresholds):
    tiled = random_logits(seed)
    rule = PostProcess(torch.tensor([0, 0, 1, 2, 2, 3, 4]), 3.0, *thresholds)
    row_bytes = 23 * 7 * 4
    memory = row_bytes * rows + seed % row_bytes
    assert torch.equal(rule.label_logits(tiled, memory), rule.label_logits(tiled))


@pytest.mark.parametrize('memory', [1, 23 * 7 * 4 - 1])
def test_memory_for_less_than_a_row_is_refused(memory):
    tiled = random_logits(0)
    with pytest.raises(ValueError, match=f'chunk_memory is {memory} bytes, one row of logits takes 644'):
        PostProcess(torch.arange(7), 3.0).label_logits(tiled, memory)


@pytest.mark.mmseg
def test_a_segmentor_refuses_memory_for_less_than_a_row():
    model = segmentors.pixel_segmentor(segmentors.texts(3), ['cat', 'dog', 'hen'], chunk_memory=16)
    with pytest.raises(ValueError, match='chunk_memory is 16 bytes, one row of logits takes 108'):
        model.predict(segmentors.images((8, 9)))


@st.composite
def many_queries(draw) -> TiledLogits:
    """Tiled logits of more queries than are searched one by one: noise, plateaus, ties, or a few that stand out."""
    random = torch.Generator().manual_seed(draw(SEEDS))
    queries = draw(st.integers(MANY_QUERIES, 90))
    crop, stride = draw(st.sampled_from([(24, 24), (16, 8), (16, 12)]))
    size = (draw(st.integers(crop, 50)), draw(st.integers(crop, 300)))
    image = torch.zeros(1, *size)
    kind = draw(st.sampled_from(['noise', 'plateaus', 'ties', 'few']))

    def read(windows: Tensor) -> Tensor:
        logits = torch.randn(len(windows), queries, crop // 4, crop // 4, generator=random)
        if kind == 'plateaus':
            logits = logits.round()
        elif kind == 'ties':
            logits = logits[:, :1].expand_as(logits)
        elif kind == 'few':
            logits = 0.05 * logits + torch.linspace(-1, 1, queries)[:, None, None] ** 8
        return logits

    (tiled,) = window_logits([image], read, (crop, crop), (stride, stride))
    return tiled.flipped(draw(st.sampled_from([(), (1,), (2,)]))).resized((draw(st.integers(1, 70)), size[1]))


@pytest.mark.slow
@given(many_queries())
@settings(max_examples=80, deadline=None)
def test_the_best_of_many_queries_is_the_best_of_all(tiled):
    """Though most are never drawn: nothing that could win is left out, but for the rounding of sums."""
    found, logits = tiled.best_queries(), tiled.full()
    expected = logits.argmax(dim=0)
    differ = found != expected
    assert (logits.amax(dim=0) - logits.gather(0, found[None])[0]).max() <= 5e-7 * logits.abs().max()
    assert differ.float().mean() < 0.01


def test_most_of_many_queries_are_never_drawn():
    """A few stand out everywhere among 300: nothing as large as a row of all of them is made."""
    tiled = random_logits(0, grid=(4, 4), size=(256, 512), queries=300, spread=0.01)
    tiled.tiles[..., :5] += 1
    with LargestTensor() as seen:
        tiled.best_queries()
    assert seen.elements < 512 * 300


def through_scores(rule: PostProcess, tiled: TiledLogits) -> Tensor:
    """Labels the plain way: all class scores first, then the rules, as with `test_cfg.scores`."""
    scores = torch.cat([rule.class_scores(chunk.clone()) for _, chunk in tiled.row_chunks()]).permute(2, 0, 1)
    plain = PostProcess(torch.arange(rule.num_classes), 1.0, rule.prob_thd, rule.area_thd)
    return plain.label_scores(scores)


@given(SEEDS, st.sampled_from(RULES), st.sampled_from([0.01, 1.0, 50.0]), st.sampled_from([0.5, 40.0]))
@settings(max_examples=30, deadline=None)
def test_labels_equal_those_of_the_scores(seed, thresholds, spread, scale):
    tiled = random_logits(seed, spread=spread)
    rule = PostProcess(torch.tensor([0, 0, 1, 2, 2, 3, 4]), scale, *thresholds)
    assert_labels_of_scores(rule, tiled)


def assert_labels_of_scores(rule: PostProcess, tiled: TiledLogits) -> None:
    """Bit for bit, but where no rule asks for a softmax: that may make equal what the logits tell apart."""
    found, expected = rule.label_logits(tiled), through_scores(rule, tiled)
    if rule.prob_thd is not None or rule.area_thd is not None:
        assert torch.equal(found, expected)
        return
    logits = tiled.full()
    best = torch.stack([logits[rule.class_of == k].amax(dim=0) for k in range(rule.num_classes)])
    chosen = best.gather(0, torch.stack([found, expected]))
    assert (rule.logit_scale * (chosen[0] - chosen[1])).min() >= 0
    assert (rule.logit_scale * (chosen[0] - chosen[1])).max() <= 1e-6 * max(
        1, rule.logit_scale * best.abs().max()
    )


ADVERSARIAL = {
    'all equal': torch.zeros(4, 4, 5),
    'two queries equal': torch.randn(4, 4, 5, generator=torch.Generator().manual_seed(0))[
        ..., [0, 1, 1, 2, 2]
    ],
    'steps': torch.eye(16)[:, :5].unflatten(0, (4, 4)),
    'huge': 1e4 * torch.randn(4, 4, 5, generator=torch.Generator().manual_seed(1)),
    'foreground of crumbs': torch.eye(5)[torch.arange(16) % 5].unflatten(0, (4, 4)),
    'one class alone': torch.tensor([0.0, 0, 9, 0, 0]).expand(4, 4, 5),
    'background alone': torch.tensor([9.0, 0, 0, 0, 0]).expand(4, 4, 5),
}


@pytest.mark.parametrize('thresholds', RULES, ids=['none', 'probability', 'area', 'both'])
@pytest.mark.parametrize('tiles', ADVERSARIAL.values(), ids=ADVERSARIAL)
@pytest.mark.parametrize('classes', [[0, 1, 2, 3, 4], [0, 0, 1, 1, 2]], ids=['one query each', 'synonyms'])
def test_labels_equal_those_of_the_scores_on_adversarial_logits(tiles, thresholds, classes):
    identity = torch.eye(4, dtype=torch.float64)
    for scale in (1.0, 65.0):
        rule = PostProcess(torch.tensor(classes), scale, *thresholds)
        assert torch.equal(
            rule.label_logits(TiledLogits(tiles.contiguous(), identity, identity)),
            through_scores(rule, TiledLogits(tiles.contiguous(), identity, identity)),
        )


def test_thresholds_that_equal_a_score_keep_it():
    """The threshold is a score as it comes out, to the last bit."""
    tiled = random_logits(3)
    rule = PostProcess(torch.arange(7), 3.0)
    scores = torch.cat([rule.class_scores(chunk.clone()) for _, chunk in tiled.row_chunks()])
    threshold = float(scores.amax(dim=-1).flatten()[100])
    assert_labels_of_scores(PostProcess(torch.arange(7), 3.0, prob_thd=threshold), tiled)


LABEL_WAYS = pytest.mark.parametrize('thresholds', RULES, ids=['none', 'probability', 'area', 'both'])


@pytest.mark.slow
@LABEL_WAYS
def test_no_tensor_grows_with_classes_times_pixels(thresholds):
    """The largest are a row chunk of logits and what it is drawn from."""
    size, queries = (300, 400), 900
    tiled = random_logits(0, grid=(8, 10), size=size, queries=queries)
    row = size[1] * queries
    with LargestTensor() as seen:
        PostProcess(torch.arange(queries), 3.0, *thresholds).label_logits(tiled)
    assert seen.elements <= 3 * row < math.prod(size) * queries / 50


@pytest.mark.slow
@LABEL_WAYS
@pytest.mark.skipif(not Path('/proc/self/clear_refs').exists(), reason='needs Linux')
def test_peak_memory_does_not_grow_with_classes_times_pixels(thresholds):
    """600 classes at 320 x 320 are 234 MiB of scores; what is needed is some row chunks and label maps."""
    queries, cpu = 600, torch.device('cpu')
    tiled = random_logits(0, grid=(8, 8), size=(320, 320), queries=queries)
    rule = PostProcess(torch.arange(queries), 3.0, *thresholds)
    gc.collect()
    assert peak(lambda: rule.label_logits(tiled), cpu) < 48
    assert peak(lambda: torch.zeros(queries, 320, 320)[:, ::8].add_(1), cpu) > 200, 'the measure sees nothing'


def test_numbers_that_are_none_do_not_end_the_search():
    """Half precision may overflow; a label map of some kind comes out, as without a search."""
    tiled = random_logits(0, queries=MANY_QUERIES)
    tiled.tiles[2, 2, 3] = torch.nan
    assert tiled.best_queries().shape == (37, 23)
