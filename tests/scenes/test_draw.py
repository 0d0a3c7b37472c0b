"""The generator: what a scene holds, which pairs are held out, and that it follows from split and index alone."""

import itertools
from collections import Counter

from mmseg_clipsurgery.scenes import draw, draw_scene, shapes, spec, textures, voc

import numpy as np
import pytest


def same_scene(one, other):
    return (
        np.array_equal(one.image, other.image)
        and np.array_equal(one.mask, other.mask)
        and (one.objects, one.grounds) == (other.objects, other.grounds)
    )


def pairs_of(split, indices, plan=draw.Plan()):  # noqa: B008  (a frozen value)
    """(object, tint) and (object, ground of its scene) of some scenes."""
    scenes = [draw_scene(split, index, plan) for index in indices]
    tints = {pair for scene in scenes for pair in scene.objects}
    return tints, {
        (name, ground) for scene in scenes for name, _ in scene.objects for ground in scene.grounds
    }


def test_the_classes_are_eight_objects_and_six_grounds():
    assert (len(spec.OBJECTS), len(spec.GROUNDS), len(set(spec.CLASSES))) == (8, 6, 14)
    assert spec.CLASSES == spec.OBJECTS + spec.GROUNDS
    assert (
        set(spec.STEPS)
        == set(spec.PATTERNS)
        == set(spec.HELD_OUT_TINT)
        == set(spec.HELD_OUT_GROUND)
        == set(shapes.SILHOUETTES)
        == set(spec.OBJECTS)
    )
    assert set(spec.GROUND_COLOURS) == set(spec.GROUNDS) >= set(spec.HELD_OUT_GROUND.values())
    # each tint is seen with all objects but one
    assert sorted(spec.HELD_OUT_TINT.values()) == sorted(spec.TINTS)
    assert len(set(spec.PATTERNS.values())) == 8


def test_a_step_of_colour_is_the_same_in_every_tint():
    """No channel is cut off by more than 1 of 255; and no two classes are nearer than a tint is wide."""
    for tint, step in itertools.product(spec.TINTS.values(), spec.STEPS.values()):
        moved = np.add(tint, step)
        assert moved.min() >= spec.TINT_JITTER
        assert moved.max() <= 256 - spec.TINT_JITTER
    for one, other in itertools.combinations(spec.STEPS.values(), 2):
        assert np.abs(np.subtract(one, other)).max() > max(np.ptp(tint) for tint in spec.TINTS.values())


@pytest.mark.slow
@pytest.mark.parametrize('split', spec.SPLITS)
def test_a_scene_is_complete_and_its_contents_are_what_the_mask_shows(split):
    for index in range(20):
        scene = draw_scene(split, index)
        assert scene.image.shape == (*scene.mask.shape, 3)
        assert scene.mask.shape in spec.SIZES
        assert scene.image.dtype == scene.mask.dtype == np.uint8
        shown = {spec.CLASSES[label] for label in np.unique(scene.mask)}
        assert shown == {name for name, _ in scene.objects} | set(scene.grounds)
        assert 1 <= len(scene.grounds) <= 2
        assert 1 <= len(scene.objects) <= 3


@pytest.mark.slow
def test_a_scene_depends_on_split_and_index_alone():
    first = draw_scene('val', 7)
    np.random.seed(1)  # noqa: NPY002  (a global state that must not matter)
    draw_scene('train', 3, draw.Plan(object_counts={1: 1.0}))
    textures.pattern_maps.cache_clear()
    textures.ground_maps.cache_clear()
    assert same_scene(first, draw_scene('val', 7))


@pytest.mark.slow
def test_scenes_differ_between_indices_and_splits():
    images = [draw_scene(split, index).image.tobytes() for split in spec.SPLITS for index in range(10)]
    assert len(set(images)) == len(images)


@pytest.mark.slow
def test_pixels_are_those_of_this_version():
    """The recorded sums of all pixels and masks; a change of the generator must be a new version."""
    for split, count in spec.SCENES.items():
        assert voc.checksum(draw_scene(split, index) for index in range(count)) == voc.CHECKSUMS[split]


@pytest.mark.slow
def test_scenes_have_every_size():
    found = Counter(draw_scene('val', index).mask.shape for index in range(200))
    assert found.keys() == spec.SIZES.keys()
    for size, share in spec.SIZES.items():
        assert found[size] == pytest.approx(200 * share, abs=25)


@pytest.mark.slow
@pytest.mark.parametrize('split', ['train', 'dev', 'val'])
def test_held_out_pairs_are_nowhere_else(split):
    tints, grounds = pairs_of(split, range(300))
    assert not tints & set(spec.HELD_OUT_TINT.items())
    assert not grounds & set(spec.HELD_OUT_GROUND.items())
    assert len(tints) > 50  # of the 56 others
    assert len(grounds) == 40  # all others


@pytest.mark.slow
def test_training_shows_every_object_in_its_tints_and_on_its_grounds_evenly():
    tints, grounds = Counter(), Counter()
    for index in range(1500):
        scene = draw_scene('train', index)
        tints.update(scene.objects)
        grounds.update(itertools.product((name for name, _ in scene.objects), scene.grounds))
    for name in spec.OBJECTS:
        for counted, choices, held_out in (
            (tints, spec.TINTS, spec.HELD_OUT_TINT),
            (grounds, spec.GROUNDS, spec.HELD_OUT_GROUND),
        ):
            seen = np.array([counted[name, choice] for choice in choices if choice != held_out[name]])
            assert (
                (seen - seen.mean()) ** 2 / seen.mean()
            ).sum() < 25  # chi-square, at most 6 degrees: p 3e-4
            assert seen.mean() > 30


@pytest.mark.slow
def test_held_out_scenes_show_held_out_pairs_only():
    tints, _ = pairs_of('heldout', range(0, 200, 2))
    assert tints == set(spec.HELD_OUT_TINT.items())
    for index in range(1, 200, 2):
        scene = draw_scene('heldout', index)
        for pair in scene.objects:
            assert pair[1] != spec.HELD_OUT_TINT[pair[0]]
            assert spec.HELD_OUT_GROUND[pair[0]] in scene.grounds


@pytest.mark.slow
def test_a_plan_cannot_bring_in_a_held_out_pair():
    tints, _ = pairs_of('train', range(60), draw.Plan(tints=('red',)))
    assert {tint for _, tint in tints} == {'red'}
    assert ('fish', 'red') not in tints
    _, grounds = pairs_of('train', range(60), draw.Plan(grounds=('grass',)))
    assert {ground for _, ground in grounds} == {'grass'}
    assert not {('fish', 'grass'), ('sock', 'grass')} & grounds


@pytest.mark.slow
@pytest.mark.parametrize('maps', [textures.pattern_maps, textures.ground_maps])
def test_pools_share_no_map(maps):
    names = spec.OBJECTS if maps is textures.pattern_maps else spec.GROUNDS
    for name in names:
        found = [array.tobytes() for pool in spec.POOLS for array in maps(pool, name)]
        assert len(set(found)) == len(found) == sum(spec.POOLS.values())


@pytest.mark.parametrize(('one', 'other'), list(itertools.combinations(spec.POOLS, 2)))
def test_ground_windows_of_pools_are_not_alike(one, other):
    """No window of one pool's map is a window of the other's: rows of pixels are never equal."""
    for name in spec.GROUNDS:
        rows = [
            {
                array[y, :24].tobytes()
                for array in textures.ground_maps(pool, name)
                for y in range(spec.MAP_SIZE)
            }
            for pool in (one, other)
        ]
        assert not rows[0] & rows[1]


def test_validation_grounds_come_from_the_validation_pool(monkeypatch):
    asked = set()
    real = textures.ground_maps
    monkeypatch.setattr(draw, 'ground_maps', lambda pool, name: asked.add(pool) or real(pool, name))
    for split, pool in (('train', 'train'), ('dev', 'dev'), ('val', 'val'), ('heldout', 'val')):
        asked.clear()
        draw_scene(split, 0)
        assert asked == {pool}


@pytest.mark.parametrize('name', spec.OBJECTS)
def test_a_silhouette_is_one_solid_piece_of_the_box(name):
    inside = shapes.silhouette(name)
    assert 0.3 < inside.mean() < 0.8
    rows, columns = np.nonzero(inside)
    assert max(np.ptp(rows), np.ptp(columns)) > 0.9 * shapes.TABLE


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param(('test', 0), "got 'test', 0", id='unknown split'),
        pytest.param(('val', -1), 'indices from 0', id='negative index'),
        pytest.param(
            ('train', 0, draw.Plan(objects=('fish',), tints=('red',))), 'No object of', id='held-out plan'
        ),
    ],
)
def test_bad_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_scene(*arguments)
