"""Whole predictions against the authors' public codes (`golden`): windows to labels at the original size."""

import golden
import golden_weights
import segmentors

import pytest
import torch
from torch import Tensor

pytestmark = pytest.mark.mmseg

NAMES = golden.names('pipeline_*')
NEAR = 1e-4  # two scores, or a score and a threshold, this near to each other may fall either way


def predict(name: str, **changes) -> tuple[Tensor, Tensor]:
    """Labels "H W" and class scores "k H W" of a golden case, with changed test settings."""
    case = golden.load(name)
    crop, stride, logit_scale, prob_thd, area_thd = case['settings'].tolist()
    class_of = case['query_class'].tolist()
    words = {f'class {k}' if k else 'background': [] for k in sorted(set(class_of))}
    for query, k in enumerate(class_of):
        list(words.values())[k].append(f'query {query}')
    settings = dict(
        mode='slide',
        crop_size=int(crop),
        stride=int(stride),
        logit_scale=logit_scale,
        prob_thd=prob_thd if prob_thd > 0 else None,
        area_thd=area_thd if area_thd >= 0 else None,
        pamr=dict(iterations=10, dilations=(8, 16)) if 'pamr' in name else None,
        scores=True,
    )
    queries = golden_weights.text(len(class_of), 64, golden.seed_of(name))
    surgery = name.split('_')[1]
    model = segmentors.golden_segmentor(queries, words, surgery, **{**settings, **changes})
    sample = segmentors.samples(dict(ori_shape=tuple(case['ori_shape'].tolist())))
    (result,) = model.predict(case['image'], sample)
    return result.pred_sem_seg.data[0], result.seg_logits.data


def clear(name: str, scores: Tensor) -> Tensor:
    """Pixels "H W" that no near tie decides: of the two best scores, or of the best one and the threshold."""
    best = scores.topk(2, dim=0).values
    prob_thd = golden.load(name)['settings'][3]
    return (best[0] - best[1] >= NEAR) & ((best[0] - prob_thd).abs() >= NEAR)


@pytest.mark.parametrize('name', NAMES)
def test_labels_are_those_of_the_public_code(name):
    found, scores = predict(name)
    decided = clear(name, scores)
    assert decided.float().mean() > 0.99
    assert torch.equal(found[decided], golden.load(name)['seg_pred'][0][decided])


@pytest.mark.parametrize('name', NAMES)
def test_scores_are_those_of_the_public_code(name):
    scores = predict(name)[1]
    if 'naclip' in name:  # its code divides by the sum over classes
        scores = scores / scores.sum(dim=0)
    reference = golden.load(name)['seg_prob']
    kept = (
        reference.amax(dim=(1, 2), keepdim=True) > 0
    )  # the area rule leaves 0 there; ours are from before it
    assert bool(kept.all()) == (golden.load(name)['settings'][4] < 0)
    golden.assert_close(scores[:, ::3, ::3] * kept, reference)


@pytest.mark.parametrize(
    ('name', 'change'),
    [
        ('pipeline_sclip_plain_vit_dev', dict(stride=64)),
        ('pipeline_sclip_plain_vit_dev', dict(mode='whole')),
        ('pipeline_sclip_plain_vit_dev', dict(crop_size=48)),
        ('pipeline_sclip_bg_vit_dev', dict(prob_thd=None)),
        ('pipeline_sclip_bg_vit_dev', dict(area_thd=None)),
        ('pipeline_sclip_bg_vit_dev', dict(logit_scale=100.0)),
        ('pipeline_naclip_pamr_vit_dev', dict(pamr=None)),
    ],
    ids=lambda value: value if isinstance(value, str) else ','.join(value),
)
def test_every_setting_matters(name, change):
    """So the comparison above would notice each of them."""
    found, scores = predict(name, **change)
    decided = clear(name, scores)
    assert not torch.equal(found[decided], golden.load(name)['seg_pred'][0][decided])
