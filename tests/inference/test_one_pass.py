"""Many predictors in one pass: to the bit what each of them gives alone, each with settings of its own."""

from dataclasses import replace
from functools import partial

import segmentors
import tiny
from mmseg_clipsurgery.inference.one_pass import logits_together, predict_together, shared_readings
from mmseg_clipsurgery.inference.precision import TowerRunner
from mmseg_clipsurgery.inference.predictor import Predictor
from mmseg_clipsurgery.inference.settings import InferenceSettings
from mmseg_clipsurgery.similarity import grid_logits
from mmseg_clipsurgery.structures import TextQueries
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

import pytest
import torch

SIX_BLOCKS = tiny.changed(tiny.SMALL, vision_cfg={'layers': 6})
QUERIES = TextQueries(segmentors.texts(5, SIX_BLOCKS['embed_dim']), torch.tensor([0, 1, 1, 2, 3]))
SLIDE = dict(mode='slide', crop_size=(16, 12), stride=(8, 10))
METHODS = ('clip', 'maskclip', 'clip_surgery', 'sclip', 'clearclip', 'naclip', 'gem')
OWN = [
    dict(prob_thd=0.3, area_thd=0.1, logit_scale=65),
    dict(pamr=dict(iterations=2, dilations=(1,))),
    dict(prob_thd=0.5),
]


class CountingTower(torch.nn.Module):
    """A tower that counts how often CLIP is read."""

    def __init__(self, tower):
        super().__init__()
        self.tower, self.patch, self.surgery, self.reads = tower, tower.patch, tower.surgery, 0

    def forward(self, images, **options):
        self.reads += 1
        return self.tower(images, **options)

    def read_many(self, images, surgeries, class_token):
        self.reads += 1
        return self.tower.read_many(images, surgeries, class_token)


@pytest.fixture(scope='module')
def tower():
    return tiny.vit(arch=SIX_BLOCKS)


def predictors(tower, similarity='cosine', **settings) -> dict[str, Predictor]:
    """All seven methods, with thresholds, PAMR or nothing."""
    checked, runner = (
        InferenceSettings.read(settings, tower.patch),
        TowerRunner(settings.get('precision', 'fp32')),
    )
    return {
        name: Predictor(
            tower,
            lambda tokens, queries: grid_logits(tokens, queries, similarity),
            replace(checked, **(OWN[number] if number < len(OWN) else {})),
            runner,
            class_token=similarity != 'cosine',
            surgery=SURGERIES[name],
        )
        for number, name in enumerate(METHODS)
    }


def same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Equal to the bit, or both are not there."""
    return one is other is None or torch.equal(one, other)


@pytest.mark.parametrize(
    ('similarity', 'settings'),
    [
        ('cosine', {}),
        ('cosine', SLIDE),
        ('cosine', dict(SLIDE, pad_windows=True, scores=True, maps=True)),
        ('cosine', dict(SLIDE, precision='bf16')),
        ('released', SLIDE),
    ],
    ids=['whole', 'slide', 'padded, scores and maps', 'bf16', 'feature surgery'],
)
def test_one_pass_equals_one_by_one(tower, similarity, settings):
    made = predictors(tower, similarity, **settings)
    images, sizes, flips = segmentors.images((24, 30), (17, 12)), [(48, 50), (17, 12)], [(2,), ()]
    keep = [None, torch.tensor([True, True, False, True, True])]
    found = predict_together(made, images, QUERIES, sizes, flips, keep)
    assert list(found) == list(METHODS)
    for name, predictor in made.items():
        alone = predictor.predict(images, QUERIES, sizes, flips, keep)
        for one, other in zip(found[name], alone, strict=True):
            assert all(map(same, one, other)), name
    assert len({tuple(one[0].labels.flatten().tolist()) for one in found.values()}) > 3  # they do differ


def test_predictors_of_one_surgery_share_its_tokens(tower):
    base = predictors(tower)['sclip']
    released = replace(base, similarity=partial(grid_logits, similarity='released'), class_token=True)
    made, images = {'cosine': base, 'released': released}, segmentors.images((24, 30))
    found = predict_together(made, images, QUERIES)
    for name, predictor in made.items():
        assert same(found[name][0].labels, predictor.predict(images, QUERIES)[0].labels)
    assert not same(found['cosine'][0].labels, found['released'][0].labels)
    surgeries = {name: SURGERIES[name.strip('2')] for name in ('sclip', 'clip', 'sclip2', 'clip2')}
    assert shared_readings(surgeries, ()) == dict(sclip='sclip', clip='clip', sclip2='sclip', clip2='clip')
    assert shared_readings(surgeries, ('sclip', 'clip2')) == {name: name for name in surgeries}


def test_clip_is_read_once_for_a_window_batch(tower):
    counting = CountingTower(tower)
    made = {
        name: replace(one, tower=counting) for name, one in predictors(tower, **SLIDE, window_batch=4).items()
    }
    images = segmentors.images((24, 30))
    made['clip'].predict(images, QUERIES)
    alone, counting.reads = counting.reads, 0
    predict_together(made, images, QUERIES)
    assert counting.reads == alone > 1


def test_the_towers_own_surgery_is_read_where_a_predictor_names_none(tower):
    made = {'own': replace(predictors(tower)['clip'], surgery=None)}
    images = segmentors.images((24, 30))
    (found,) = logits_together(made, images, QUERIES)['own']
    assert torch.equal(found.tiles, made['own'].logits(images, QUERIES)[0].tiles)


def test_no_image(tower):
    assert predict_together(predictors(tower), [], QUERIES)['sclip'] == []


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda one: replace(one, settings=replace(one.settings, window_batch=3)),
            'clip and sclip can share no pass',
        ),
        (lambda one: replace(one, runner=TowerRunner()), 'clip and sclip have towers of their own'),
    ],
    ids=['settings', 'runner'],
)
def test_what_cannot_share_a_pass_is_refused(tower, change, message):
    made = predictors(tower)
    with pytest.raises(ValueError, match=message):
        predict_together({'clip': made['clip'], 'sclip': change(made['sclip'])}, [], QUERIES)
    with pytest.raises(ValueError, match='got no predictor; give at least one'):
        predict_together({}, [], QUERIES)


def test_a_surgery_the_tower_does_not_fit_is_refused(tower):
    made = {'deep': replace(predictors(tower)['clip'], surgery=Surgery(7))}
    with pytest.raises(ValueError, match='7'):
        predict_together(made, segmentors.images((24, 30)), QUERIES)
