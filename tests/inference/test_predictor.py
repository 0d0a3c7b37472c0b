"""The predictor by itself: arguments of a call, what is returned, and that it is all there is to MMSeg's segmentor."""

import segmentors
from mmseg_clipsurgery.inference.precision import TowerRunner
from mmseg_clipsurgery.inference.predictor import Predictor
from mmseg_clipsurgery.inference.settings import InferenceSettings
from mmseg_clipsurgery.similarity import grid_logits
from mmseg_clipsurgery.structures import TextQueries

import pytest
import torch

pytestmark = pytest.mark.mmseg

QUERIES = TextQueries(segmentors.texts(4), torch.tensor([0, 1, 1, 2]))
ONE_WORD = TextQueries(segmentors.texts(1), torch.tensor([0]), segmentors.texts(1, seed=5))
SLIDE = dict(mode='slide', crop_size=(8, 6), stride=(4, 5))


def predictor(threshold: float = 0.0, **settings) -> Predictor:
    """Of a tower whose tokens are the pixels."""
    checked = InferenceSettings.read(settings, patch=1)
    return Predictor(segmentors.PixelTower(), grid_logits, checked, TowerRunner(), threshold)


@pytest.mark.parametrize(
    ('queries', 'settings'),
    [
        (QUERIES, {}),
        (QUERIES, SLIDE),
        (QUERIES, dict(prob_thd=0.4, area_thd=0.1)),
        (QUERIES, dict(pamr=dict(iterations=2, dilations=(1,)))),
        (ONE_WORD, {}),
    ],
    ids=['whole', 'slide', 'rules', 'pamr', 'one word'],
)
def test_the_segmentor_adds_nothing(queries, settings):
    settings = dict(settings, scores=True, maps=True)
    words = ['cat'] if queries is ONE_WORD else ['background', ['cat', 'kitten'], 'dog']
    model = segmentors.pixel_segmentor(queries.embeddings, words, empty=queries.empty, **settings)
    images, sizes = segmentors.images((9, 12), (7, 20)), [(18, 30), (7, 20)]
    samples = segmentors.samples(
        dict(ori_shape=(18, 30, 3), flip=True, flip_direction='horizontal'), dict(ori_shape=(7, 20))
    )
    found = predictor(**settings).predict(images, queries, sizes, [(2,), ()])
    for prediction, sample in zip(found, model.predict(images, samples), strict=True):
        assert torch.equal(prediction.labels, sample.pred_sem_seg.data)
        assert torch.equal(prediction.scores, sample.seg_logits.data)
        assert torch.equal(prediction.maps, sample.class_maps.data)


@pytest.mark.parametrize('wanted', [(), ('scores',), ('maps',), ('scores', 'maps')], ids=', '.join)
@pytest.mark.parametrize(('queries', 'classes'), [(QUERIES, 3), (ONE_WORD, 1)], ids=['words', 'one word'])
def test_only_what_the_settings_ask_for_is_returned(queries, classes, wanted):
    asked = predictor(**dict.fromkeys(wanted, True))
    (found,) = asked.predict(segmentors.images((9, 12)), queries)
    assert found.labels.shape == (1, 9, 12)
    assert found.labels.dtype == torch.int64
    for name in ('scores', 'maps'):
        value = getattr(found, name)
        assert (None if value is None else tuple(value.shape)) == (
            (classes, 9, 12) if name in wanted else None
        )


@pytest.mark.parametrize('settings', [{}, SLIDE], ids=['whole', 'slide'])
def test_dropped_queries_are_as_if_they_were_not_asked_for(settings):
    images = segmentors.images((9, 12), (9, 12))
    keep = torch.tensor([True, True, False, False])
    some, every = predictor(scores=True, **settings).predict(images, QUERIES, keep=[keep, None])
    fewer = TextQueries(QUERIES.embeddings[:2], QUERIES.class_of[:2])
    (expected,) = predictor(scores=True, **settings).predict(images[:1], fewer)
    assert torch.equal(some.labels, expected.labels)
    torch.testing.assert_close(some.scores[:2], expected.scores)
    assert some.scores[2].max() == 0
    (whole,) = predictor(scores=True, **settings).predict(images[1:], QUERIES)
    assert set(every.labels.unique().tolist()) == {0, 1, 2}
    assert torch.equal(every.labels, whole.labels)


def test_many_queries_with_dropped_ones():
    """From 40 queries on, pixels are searched among the queries that can win there."""
    queries = TextQueries(segmentors.texts(60), torch.arange(60))
    keep = torch.arange(60) % 3 == 0
    (found,) = predictor().predict(segmentors.images((30, 50)), queries, [(90, 100)], keep=[keep])
    fewer = TextQueries(queries.embeddings[keep], torch.arange(60)[keep])
    (expected,) = predictor().predict(segmentors.images((30, 50)), fewer, [(90, 100)])
    assert torch.equal(found.labels, expected.labels)


def test_the_threshold_decides_one_word():
    (image,) = segmentors.images((9, 12))
    similarity = predictor(scores=True).predict([image], ONE_WORD)[0].scores
    for threshold in (-0.5, 0.0, 0.5):
        (found,) = predictor(threshold).predict([image], ONE_WORD)
        assert torch.equal(found.labels, (similarity > threshold).long())
        assert 0 < found.labels.sum() < found.labels.numel()


@pytest.mark.parametrize(
    ('queries', 'settings'),
    [(QUERIES, {}), (QUERIES, dict(prob_thd=0.1)), (ONE_WORD, {})],
    ids=['labels', 'rules', 'one word'],
)
def test_predictions_can_be_written_into(queries, settings):
    """As those of any MMSeg model: `pred[pred == 0] = 255` is how masks are prepared for a benchmark's server."""
    (found,) = predictor(scores=True, maps=True, **settings).predict(segmentors.images((9, 12)), queries)
    for tensor in found:
        assert not tensor.is_inference()
        assert not tensor.requires_grad
    expected = torch.where(found.labels == 0, 255, found.labels)
    found.labels[found.labels == 0] = 255
    assert torch.equal(found.labels, expected)


def test_another_surgery_is_handed_to_the_tower():
    class Tower(segmentors.PixelTower):
        def forward(self, images, class_token=True, surgery=None):
            self.asked = (class_token, surgery)
            return super().forward(images)

    tower, settings = Tower(), InferenceSettings()
    for class_token, surgery in ((False, None), (True, 'clip')):
        asked = Predictor(
            tower, grid_logits, settings, TowerRunner(), class_token=class_token, surgery=surgery
        )
        asked.predict(segmentors.images((4, 4)), QUERIES)
        assert tower.asked == (class_token, surgery)


@pytest.mark.parametrize(
    'arguments',
    [dict(sizes=[(3, 3)]), dict(flips=[()]), dict(keep=[None])],
    ids=lambda value: next(iter(value)),
)
def test_one_argument_for_each_image(arguments):
    with pytest.raises(ValueError, match=r'shorter|longer'):
        predictor().predict(segmentors.images((4, 4), (4, 4)), QUERIES, **arguments)
