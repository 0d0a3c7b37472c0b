"""The scenes benchmark: the generator, its folder on disk, its words, and its curriculum."""

import hashlib
import itertools
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import mmseg_clipsurgery
from mmseg_clipsurgery.scenes import curriculum, draw, draw_scene, shapes, spec, textures, voc, words

import numpy as np
import pytest
from PIL import Image


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


def folder_in_new_process(folder):
    return str(voc.ensure(folder))


@pytest.fixture
def few_scenes(monkeypatch):
    """Three scenes a split, so that a folder takes no time."""
    monkeypatch.setattr(spec, 'SCENES', dict.fromkeys(spec.SCENES, 3))
    sums = {split: voc.checksum(draw_scene(split, k) for k in range(3)) for split in spec.SCENES}
    monkeypatch.setattr(voc, 'CHECKSUMS', sums)


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


def test_the_folder_is_in_voc_layout(tmp_path, few_scenes):
    folder = voc.ensure(tmp_path / 'scenes')
    for split in ('val', 'heldout', 'dev'):
        names = (folder / 'ImageSets' / 'Segmentation' / f'{split}.txt').read_text().split()
        assert names == [f'{split}_{k:03d}' for k in range(3)]
        for index, name in enumerate(names):
            scene = draw_scene(split, index)
            image = Image.open(folder / 'JPEGImages' / f'{name}.png')
            mask = Image.open(folder / 'SegmentationClass' / f'{name}.png')
            assert (image.mode, mask.mode) == ('RGB', 'P')
            assert np.array_equal(np.array(image), scene.image)
            assert np.array_equal(np.array(mask), scene.mask)
    assert [path.name for path in tmp_path.iterdir()] == ['scenes']


def test_an_existing_folder_is_used_as_it_is(tmp_path, few_scenes):
    folder = voc.ensure(tmp_path / 'scenes')
    times = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
    assert voc.ensure(folder) == folder
    voc.write_voc(folder)  # as a process does that found no folder and comes second
    assert {path: path.stat().st_mtime_ns for path in folder.rglob('*')} == times
    assert [path.name for path in tmp_path.iterdir()] == ['scenes']


def exchange_masks(folder):
    first, second = (folder / 'SegmentationClass' / f'val_00{k}.png' for k in (0, 1))
    content = first.read_bytes(), second.read_bytes()
    second.write_bytes(content[0]), first.write_bytes(content[1])


def change_a_pixel(folder):
    path = folder / 'JPEGImages' / 'val_002.png'
    pixels = np.array(Image.open(path))
    pixels[5, 7, 1] ^= 1
    Image.fromarray(pixels).save(path)


def in_list(text):
    return lambda folder: (folder / 'ImageSets/Segmentation/val.txt').write_text(text)


def scenes_of_version_2(folder, count=3):
    """As if this content had been that of an earlier version."""
    change_a_pixel(folder)
    files = [
        folder / place / f'val_00{k}.png'
        for k in range(count)
        for place in ('JPEGImages', 'SegmentationClass')
    ]
    digest = hashlib.sha256(b''.join(np.asarray(Image.open(file)).tobytes() for file in files)).hexdigest()
    voc.EARLIER[digest] = 2


def fewer_scenes_of_version_2(folder):
    scenes_of_version_2(folder, count=2)
    in_list('val_000\nval_001\n')(folder)


CHANGES = {
    'fewer scenes of another version': (
        fewer_scenes_of_version_2,
        f'holds scenes of version 2, not {spec.VERSION}',
    ),
    'scenes of another version': (scenes_of_version_2, f'holds scenes of version 2, not {spec.VERSION}'),
    'exchanged masks': (exchange_masks, 'holds other val scenes'),
    'a pixel': (change_a_pixel, 'holds other val scenes'),
    'a list that repeats one': (in_list('val_000\nval_000\nval_002\n'), 'holds other val scenes'),
    'a shorter list': (in_list('val_000\n'), 'holds other val scenes'),
    'a missing mask': (
        lambda folder: (folder / 'SegmentationClass/val_001.png').unlink(),
        'missing or damaged',
    ),
    'a damaged image': (
        lambda folder: (folder / 'JPEGImages/val_001.png').write_bytes(b'\x89PNG'),
        'missing or damaged',
    ),
}


@pytest.mark.parametrize(('change', 'message'), CHANGES.values(), ids=CHANGES.keys())
def test_files_that_have_changed_are_refused(change, message, tmp_path, few_scenes, monkeypatch):
    folder = voc.ensure(tmp_path / 'scenes')
    monkeypatch.setattr(voc, 'EARLIER', dict(voc.EARLIER))
    voc.ensure(folder)  # checked once
    change(folder)
    with pytest.raises(ValueError, match=f'{message}.*; remove .*scenes, and it is drawn anew'):
        voc.ensure(folder)
    assert voc.ensure(folder, ['heldout']) == folder  # of another split nothing has changed


def test_the_default_folder_is_in_the_cache(tmp_path, few_scenes, monkeypatch):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    assert voc.ensure() == tmp_path / 'cache' / f'scenes-v{spec.VERSION}'
    assert (tmp_path / 'cache' / f'scenes-v{spec.VERSION}' / 'JPEGImages' / 'val_000.png').is_file()


def test_another_folder_is_not_touched(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(ValueError, match='holds no scenes'):
        voc.ensure(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']


def test_scenes_that_come_out_otherwise_are_not_written(tmp_path, few_scenes, monkeypatch):
    monkeypatch.setitem(voc.CHECKSUMS, 'heldout', '0' * 64)
    with pytest.raises(RuntimeError, match='The heldout scenes drawn here have SHA-256'):
        voc.ensure(tmp_path / 'scenes')
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_processes_that_start_together_share_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(spec, 'SCENES', dict.fromkeys(spec.SCENES, 3))
    sums = {split: voc.checksum(draw_scene(split, index) for index in range(3)) for split in spec.SCENES}
    monkeypatch.setattr(voc, 'CHECKSUMS', sums)
    folder = tmp_path / 'scenes'
    with ProcessPoolExecutor(2, get_context('fork')) as pool:
        assert set(pool.map(folder_in_new_process, [folder, folder])) == {str(folder)}
    assert [path.name for path in tmp_path.iterdir()] == ['scenes']
    assert len(list((folder / 'JPEGImages').iterdir())) == sum(spec.SCENES.values())


def test_a_caption_names_what_is_there():
    scene = draw_scene('val', 3)
    random = np.random.RandomState(0)
    for _ in range(20):
        named = words.caption(scene, random, tint_probability=1.0)
        assert curriculum.contents(named) == tuple(
            sorted([*(f'{tint} {name}' for name, tint in scene.objects), *scene.grounds])
        )
        bare = words.caption(scene, random, tint_probability=0.0)
        assert curriculum.contents(bare) == tuple(
            sorted([*(name for name, _ in scene.objects), *scene.grounds])
        )


def test_the_vocabulary_of_the_benchmark_is_its_classes():
    from mmseg_clipsurgery.vocabulary import Vocabulary

    assert Vocabulary.read('scenes').classes == spec.CLASSES


@pytest.fixture(scope='module')
def tokenizer():
    from open_clip.tokenizer import SimpleTokenizer

    merges = Path(mmseg_clipsurgery.__file__).parent / 'resources' / 'scenes' / 'merges.txt.gz'
    return SimpleTokenizer(bpe_path=str(merges), context_length=words.CONTEXT_LENGTH)


def test_the_shipped_merges_are_those_of_the_words(tmp_path):
    words.write_merges(tmp_path / 'merges.txt.gz')
    shipped = Path(mmseg_clipsurgery.__file__).parent / 'resources' / 'scenes' / 'merges.txt.gz'
    assert (tmp_path / 'merges.txt.gz').read_bytes() == shipped.read_bytes()


def test_the_tokenizer_makes_one_token_of_each_word_and_gives_words_back(tokenizer):
    assert tokenizer.vocab_size == words.vocabulary_size()
    assert tokenizer.eot_token_id == words.vocabulary_size() - 1
    for word in (*spec.CLASSES, *spec.TINTS):
        assert len(tokenizer.encode(word)) == 1
    text = 'a photo of a red fish and a ladybird on grass and gravel'
    assert len(tokenizer.encode(text)) == len(text.split())
    assert tokenizer.decode(tokenizer.encode(text)).strip() == text
    assert tokenizer.decode(tokenizer.encode('un mot étranger')).strip() == 'un mot étranger'


def test_the_longest_caption_fits(tokenizer):
    text = 'a photo of an orange ladybird and a purple zebra and a yellow house on gravel and water'
    assert len(tokenizer.encode(text)) + 2 <= words.CONTEXT_LENGTH


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


def test_a_cache_that_cannot_be_written_ends_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'file'))
    with pytest.raises(ValueError, match=r'cannot be drawn into .* set MMSEG_CLIPSURGERY_CACHE'):
        voc.ensure()
