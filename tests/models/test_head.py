"""The decode head: the similarity that a config names, and what MMSeg's tools ask it."""

import segmentors
from mmseg_clipsurgery.similarity import SIMILARITIES, grid_logits
from mmseg_clipsurgery.structures import ImageTokens, TextQueries

import pytest
import torch
from mmseg.registry import MODELS

pytestmark = pytest.mark.mmseg


def head(**settings):
    return MODELS.build(dict(type='SurgeryHead', **settings))


def test_cosine_is_the_default():
    assert head().similarity == 'cosine'


@pytest.mark.parametrize('similarity', SIMILARITIES)
def test_forward_is_grid_logits_of_the_named_similarity(similarity):
    (image,) = segmentors.images((3, 5))
    tokens = ImageTokens(image.mean(dim=(1, 2))[None], image[None])
    queries = TextQueries(segmentors.texts(4), torch.arange(4))
    found = head(similarity=similarity)(tokens, queries)
    assert torch.equal(found, grid_logits(tokens, queries, similarity))
    others = [grid_logits(tokens, queries, other) for other in SIMILARITIES if other != similarity]
    assert not any(torch.allclose(found, other) for other in others)


def test_only_feature_surgery_needs_the_class_token():
    needs = {form: head(similarity=form).needs_class_token for form in SIMILARITIES}
    assert needs == {'cosine': False, 'paper': True, 'released': True}


def test_it_has_no_weights():
    assert not head().state_dict()


def test_what_mmseg_reads():
    plain = head(num_classes=5, threshold=0.25)
    assert (plain.num_classes, plain.out_channels, plain.threshold, plain.align_corners) == (
        5,
        5,
        0.25,
        False,
    )


@pytest.mark.parametrize(
    ('settings', 'complaint'),
    [
        (dict(similarity='euclid'), "similarity must be one of cosine, paper, released, got 'euclid'"),
        (dict(align_corners=True), 'align_corners=True is not supported'),
    ],
    ids=['unknown similarity', 'align_corners'],
)
def test_bad_settings(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        head(**settings)
