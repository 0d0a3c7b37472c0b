"""Training batches: what their scenes share, and that each follows from seed and step."""

import itertools
from collections import Counter

from mmseg_clipsurgery.scenes import curriculum, spec

import numpy as np
import pytest


def test_a_training_batch_follows_from_seed_and_step():
    one, again, other = (curriculum.training_batch(seed, 5, 10, 4) for seed in (0, 0, 1))
    assert np.array_equal(one.images, again.images)
    assert one.captions == again.captions
    assert not np.array_equal(one.images, other.images)


def test_captions_that_say_the_same_are_known_as_such():
    batch = curriculum.training_batch(0, 1, 100, 32)
    said = [curriculum.contents(text) for text in batch.captions]
    for i, j in itertools.product(range(32), repeat=2):
        assert batch.same[i, j] == (said[i] == said[j])
    assert curriculum.contents('a photo of a red fish and a car on grass') == ('car', 'grass', 'red fish')
    assert curriculum.contents('grass, car, red fish') == ('car', 'grass', 'red fish')


def test_the_first_scenes_show_one_object_on_one_ground():
    batch = curriculum.training_batch(0, 0, 100, 16)
    assert all(len(curriculum.contents(text)) == 2 for text in batch.captions)
    late = {len(curriculum.contents(text)) for text in curriculum.training_batch(0, 50, 100, 64).captions}
    assert max(late) > 3


def test_groups_share_what_they_should():
    late = curriculum.PHASES[-1]
    groups = [curriculum.choose_plan(np.random.RandomState(seed), late) for seed in range(300)]
    kinds = Counter((len(plan.objects), len(plan.grounds), tints_differ) for plan, tints_differ in groups)
    assert kinds.keys() == {(4, 2, False), (2, 1, True), (8, 6, False)}
    assert kinds[4, 2, False] / 300 == pytest.approx(late.shared_tints, abs=0.08)
    assert kinds[2, 1, True] / 300 == pytest.approx(late.shared_objects, abs=0.08)
    for plan, tints_differ in groups:
        assert len(plan.tints) in ((3,) if tints_differ else (1, 2, 8))
        if len(plan.objects) < 8:  # no object is held out from what its group stands on
            assert not {spec.HELD_OUT_GROUND[name] for name in plan.objects} & set(plan.grounds)


@pytest.mark.slow
def test_scenes_of_a_group_share_its_plan_and_the_groups_differ():
    batch = curriculum.training_batch(0, 90, 100, 64)
    grounds = [
        {part for text in batch.captions[k : k + 8] for part in curriculum.contents(text)} & set(spec.GROUNDS)
        for k in range(0, 64, 8)
    ]
    assert sum(len(found) <= 2 for found in grounds) >= 4
    assert len(set.union(*grounds)) > 3


def test_no_training_scene_is_drawn_twice(monkeypatch):
    drawn = []
    real = curriculum.draw_scene
    monkeypatch.setattr(
        curriculum, 'draw_scene', lambda split, index, plan: drawn.append(index) or real('dev', 0)
    )
    for seed, step in itertools.product(range(2), range(4)):
        curriculum.training_batch(seed, step, 4, 12)
    assert sorted(drawn) == list(range(2 * 4 * 12))
