"""The scenes benchmark: the generator, its folder on disk, its words, and its curriculum."""

import itertools
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


def pairs_of(split, count, plan=draw.Plan()):  # noqa: B008  (a frozen value)
    return {pair for index in range(count) for pair in draw_scene(split, index, plan).objects}


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
        set(spec.INKS)
        == set(spec.PATTERNS)
        == set(spec.HELD_OUT)
        == set(shapes.SILHOUETTES)
        == set(spec.OBJECTS)
    )
    assert set(spec.GROUND_COLOURS) == set(spec.GROUNDS)
    assert len(set(spec.PATTERNS.values())) == 8


@pytest.mark.slow
@pytest.mark.parametrize('split', spec.SPLITS)
def test_a_scene_is_complete_and_its_contents_are_what_the_mask_shows(split):
    for index in range(20):
        scene = draw_scene(split, index)
        assert scene.image.shape == (96, 96, 3)
        assert scene.mask.shape == (96, 96)
        assert scene.image.dtype == scene.mask.dtype == np.uint8
        shown = {spec.CLASSES[label] for label in np.unique(scene.mask)}
        assert shown == {name for name, _ in scene.objects} | set(scene.grounds)
        assert 1 <= len(scene.grounds) <= 2
        assert 1 <= len(scene.objects) <= 3


@pytest.mark.slow
def test_a_scene_depends_on_split_and_index_alone():
    first = draw_scene('val', 7)
    np.random.seed(1)  # noqa: NPY002  (a global state that must not matter)
    draw_scene('train', 3, draw.Plan(most_objects=1))
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
@pytest.mark.parametrize('split', ['train', 'dev', 'val'])
def test_held_out_pairs_are_nowhere_else(split):
    seen = pairs_of(split, 200)
    assert not seen & set(spec.HELD_OUT.items())
    assert len(seen) > 35  # of the 40 others


@pytest.mark.slow
def test_held_out_scenes_show_held_out_pairs_only():
    assert pairs_of('heldout', 100) == set(spec.HELD_OUT.items())


@pytest.mark.slow
def test_a_plan_cannot_bring_in_a_held_out_pair():
    plan = draw.Plan(tints=('red',))
    seen = pairs_of('train', 60, plan)
    assert {tint for _, tint in seen} == {'red'}
    assert ('fish', 'red') not in seen


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


CHANGES = {
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
def test_files_that_have_changed_are_refused(change, message, tmp_path, few_scenes):
    folder = voc.ensure(tmp_path / 'scenes')
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
    text = 'a photo of a red fish and a blue car and a pink sock on grass and gravel'
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


def test_hard_batches_share_what_they_should():
    plans = [curriculum.choose_plan(np.random.RandomState(seed), 0.9) for seed in range(300)]
    hard = [(plan, naming) for plan, naming in plans if len(plan.grounds) == 1]
    assert 0.3 < len(hard) / len(plans) < 0.5
    for plan, naming in hard:
        shared_objects = len(plan.objects) == 2
        assert len(plan.tints) == 3 if shared_objects else len(plan.tints) in (1, 2)
        assert naming == 1.0 or not shared_objects
    assert {len(plan.objects) for plan, _ in hard} == {2, 8}


def test_a_cache_that_cannot_be_written_ends_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'file'))
    with pytest.raises(ValueError, match=r'cannot be drawn into .* set MMSEG_CLIPSURGERY_CACHE'):
        voc.ensure()
