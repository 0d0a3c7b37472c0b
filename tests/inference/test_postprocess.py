"""From logits to labels and class scores, seen in predictions whose logits the test draws.

Images are vectors of three colours and texts are vectors too; logits are their cosines (`segmentors.pixel_segmentor`).
"""

import segmentors

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

pytestmark = pytest.mark.mmseg

ONE_EACH = torch.eye(3)  # background, first, second
WORDS = ['background', 'first', 'second']
SEEDS = st.integers(0, 2**31 - 1)


def predict(
    image: Tensor, texts: Tensor, words, patch: int = 1, ori_shape=None, **test_cfg
) -> tuple[Tensor, Tensor]:
    """Labels "H W" and class scores "k H W" of an image "3 H W"; labels without scores, row by row, must be equal."""
    size = ori_shape or tuple(image.shape[1:])
    results = [
        segmentors.pixel_segmentor(texts, words, patch, **settings, **test_cfg).predict(
            [image], segmentors.samples(dict(ori_shape=size))
        )[0]
        for settings in (dict(scores=True), dict(chunk_memory=size[1] * len(texts) * 4))
    ]
    labels, alone = segmentors.labels(results)
    assert torch.equal(labels, alone)
    return labels, results[0].seg_logits.data


def row(*pixels: tuple[float, float, float], rows: int = 1) -> Tensor:
    """An image of equal rows."""
    return torch.tensor(pixels).T[:, None].repeat(1, rows, 1)


def plain_labels(
    cosines: np.ndarray, class_of: list[int], scale: float, prob_thd: float | None, area_thd: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The protocol, pixel by pixel: labels (H, W) and class scores (k, H, W) before the rules."""
    count, (height, width) = max(class_of) + 1, cosines.shape[1:]
    scores = np.zeros((count, height, width))
    for y in range(height):
        for x in range(width):
            powers = [np.exp(scale * cosines[q, y, x]) for q in range(len(class_of))]
            for q, k in enumerate(class_of):
                scores[k, y, x] = max(scores[k, y, x], powers[q] / sum(powers))
    kept = scores.copy()
    if area_thd is not None:
        areas = [int((scores.argmax(0) == k).sum()) for k in range(count)]
        for k in range(1, count):
            if areas[k] <= area_thd * sum(areas[1:]):
                kept[k] = 0
    labels = kept.argmax(0)
    if prob_thd is not None:
        labels[kept.max(0) < prob_thd] = 0
    return labels, scores


@pytest.mark.slow
@given(
    SEEDS,
    st.sampled_from([[0, 1, 2], [0, 0, 1, 2, 2, 2], [0, 1, 1, 1, 2, 3, 4]]),
    st.sampled_from([None, 0.31, 0.6]),
    st.sampled_from([None, 0.101, 0.2503, 0.4007]),  # no area is exactly such a share
)
@settings(max_examples=100, deadline=None)
def test_rules_equal_a_plain_loop(seed, class_of, prob_thd, area_thd):
    texts = segmentors.texts(len(class_of), seed=seed)
    words = [[f'{k}.{i}' for i in range(class_of.count(k))] for k in range(max(class_of) + 1)]
    words = {'background' if k == 0 else f'class {k}': synonyms for k, synonyms in enumerate(words)}
    (image,) = segmentors.images((5, 7), seed=seed)
    found, scores = predict(image, texts, words, logit_scale=3.0, prob_thd=prob_thd, area_thd=area_thd)
    cosines = torch.einsum(
        'qc,chw->qhw', texts.double(), torch.nn.functional.normalize(image.double(), dim=0)
    )
    labels, expected = plain_labels(cosines.numpy(), class_of, 3.0, prob_thd, area_thd)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert found.tolist() == labels.tolist()


@given(SEEDS, st.permutations(range(5)))
@settings(max_examples=6, deadline=None)
def test_permuting_classes_permutes_labels(seed, order):
    texts = segmentors.texts(5, seed=seed)
    words = [f'class {k}' for k in range(5)]
    image = segmentors.images((6, 6), seed=seed)[0]
    labels, scores = predict(image, texts, words)
    permuted, permuted_scores = predict(image, texts[list(order)], [words[k] for k in order])
    assert torch.equal(torch.tensor(order)[permuted], labels)
    torch.testing.assert_close(permuted_scores, scores[list(order)])


@given(SEEDS, st.permutations(range(1, 5)))
@settings(max_examples=6, deadline=None)
def test_permuting_foreground_permutes_labels_under_both_rules(seed, order):
    order = [0, *order]
    texts = segmentors.texts(5, seed=seed)
    words = ['background', *(f'class {k}' for k in range(1, 5))]
    image = segmentors.images((6, 6), seed=seed)[0]
    rules = dict(logit_scale=4.0, prob_thd=0.4, area_thd=0.1501)
    labels = predict(image, texts, words, **rules)[0]
    permuted = predict(image, texts[order], [words[k] for k in order], **rules)[0]
    assert torch.equal(torch.tensor(order)[permuted], labels)


CLEAR_1, CLEAR_2 = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
WEAK_1 = (0.55, 0.65, 0.5)  # first by little, probability 0.34 at scale 2
FIRST_THEN_SECOND = (0.0, 0.8, 0.6)  # probabilities 0.13, 0.52, 0.35 at scale 2
NEARLY_SECOND = (0.0, 0.655, 0.755)  # probability of second 0.98 at scale 40
FIRST_BY_FAR = (0.0, 50.0, 0.0)


def test_the_area_rule_counts_pixels_that_the_probability_threshold_takes():
    """Otherwise first, with 2 of 14 pixels left, would be dropped."""
    image = row(*[WEAK_1] * 10, *[CLEAR_1] * 2, *[CLEAR_2] * 12)
    labels = predict(image, ONE_EACH, WORDS, logit_scale=2.0, prob_thd=0.5, area_thd=0.3)[0]
    assert labels[0].tolist() == [0] * 10 + [1] * 2 + [2] * 12


@pytest.mark.parametrize(('prob_thd', 'label'), [(0.3, 2), (0.4, 0)], ids=['passes', 'fails'])
def test_a_dropped_class_leaves_its_pixels_to_the_next_one_whose_score_is_then_tested(prob_thd, label):
    """Its score is 0.35: it passes 0.3, and it is not what first had, 0.52."""
    image = row(FIRST_THEN_SECOND, *[CLEAR_2] * 9)
    labels = predict(image, ONE_EACH, WORDS, logit_scale=2.0, prob_thd=prob_thd, area_thd=0.2)[0]
    assert labels[0].tolist() == [label] + [2] * 9


def test_softmax_runs_over_queries_and_a_class_takes_the_largest():
    """Two synonyms of 0.32 each and another class of 0.36: a sum would choose the first, a softmax over classes
    would give the second 0.53."""
    texts = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    words = ['background', ['first', 'synonym'], 'second']
    image = row((0.0, 0.7, 0.714))
    labels, scores = predict(image, texts, words, logit_scale=10.0)
    assert labels.item() == 2
    assert scores[2].item() == pytest.approx(0.365, abs=0.002)
    assert predict(image, texts, words, logit_scale=10.0, prob_thd=0.4)[0].item() == 0


def test_resizing_comes_before_the_softmax():
    """Three quarters of a near tie and a quarter of a clear case: the mean of logits and of probabilities differ."""
    image = row(NEARLY_SECOND, FIRST_BY_FAR)
    labels = predict(image, ONE_EACH, WORDS, ori_shape=(1, 4))[0]
    assert labels[0].tolist() == [2, 1, 1, 1]


def test_overlaps_are_averaged_before_the_softmax():
    """The middle column is seen by three windows: two near ties for second, one clear first."""
    image = row(*[NEARLY_SECOND] * 4, FIRST_BY_FAR, rows=3)
    labels = predict(image, ONE_EACH, WORDS, patch=3, mode='slide', crop_size=3, stride=1)[0]
    assert labels[0].tolist() == [2, 2, 1, 1, 1]


def test_the_threshold_keeps_what_equals_it():
    image = row(CLEAR_1)
    score = predict(image, ONE_EACH, WORDS, logit_scale=2.0)[1][1].item()
    assert predict(image, ONE_EACH, WORDS, logit_scale=2.0, prob_thd=score)[0].item() == 1
    assert predict(image, ONE_EACH, WORDS, logit_scale=2.0, prob_thd=score + 1e-6)[0].item() == 0


def test_a_class_of_just_the_share_is_dropped():
    """One of four foreground pixels is 0.25 of them, which does not exceed 0.25."""
    image = row(FIRST_THEN_SECOND, *[CLEAR_2] * 3, (1.0, 0.0, 0.0))
    assert predict(image, ONE_EACH, WORDS, area_thd=0.25)[0][0].tolist() == [2, 2, 2, 2, 0]
    assert predict(image, ONE_EACH, WORDS, area_thd=0.24)[0][0].tolist() == [1, 2, 2, 2, 0]


def test_an_image_of_background_stays_background():
    image = row(*[(1.0, 0.1, 0.1)] * 3)
    assert predict(image, ONE_EACH, WORDS, prob_thd=0.1, area_thd=0.1)[0].tolist() == [[0, 0, 0]]


def test_scores_are_those_before_the_rules():
    image = segmentors.images((6, 8))[0]
    plain = predict(image, ONE_EACH, WORDS, logit_scale=3.0)[1]
    ruled = predict(image, ONE_EACH, WORDS, logit_scale=3.0, prob_thd=0.6, area_thd=0.4)[1]
    assert torch.equal(plain, ruled)
    torch.testing.assert_close(plain.sum(dim=0), torch.ones(6, 8))  # one query a class


def test_classes_that_share_a_word_go_to_the_earlier():
    texts = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    words = {'background': ['sky'], 'bed': ['bed'], 'furniture': ['bed']}
    assert predict(row(CLEAR_1, (1.0, 0.0, 0.0)), texts, words)[0][0].tolist() == [1, 0]


@pytest.mark.parametrize('rules', [dict(), dict(prob_thd=0.5, area_thd=0.2)], ids=['plain', 'both rules'])
@pytest.mark.parametrize('rows', [1, 7, 1000])
def test_labels_do_not_depend_on_row_chunks(rules, rows):
    """Labels may be made chunk by chunk, whatever a chunk's height."""
    (image,) = segmentors.images((40, 50))
    settings_ = dict(logit_scale=3.0, mode='slide', crop_size=20, stride=15, **rules)
    expected = predict(image, ONE_EACH, WORDS, patch=2, ori_shape=(61, 33), **settings_)[0]
    model = segmentors.pixel_segmentor(ONE_EACH, WORDS, 2, chunk_memory=rows * 33 * 3 * 4, **settings_)
    (result,) = model.predict([image], segmentors.samples(dict(ori_shape=(61, 33))))
    assert torch.equal(result.pred_sem_seg.data[0], expected)
    assert 'seg_logits' not in result
    assert len(expected.unique()) == 3


def test_a_row_chunk_has_at_least_one_row():
    model = segmentors.pixel_segmentor(ONE_EACH, WORDS, chunk_memory=9 * 3 * 4 - 1)
    with pytest.raises(ValueError, match=r'chunk_memory is 107 bytes, one row of logits takes 108'):
        model.predict(segmentors.images((4, 9)))
