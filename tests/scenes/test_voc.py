"""The folder of scenes on disk: its layout, changed files, earlier versions, processes that start together."""

import hashlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from mmseg_clipsurgery.scenes import draw_scene, spec, voc

import numpy as np
import pytest
from PIL import Image


def folder_in_new_process(folder):
    return str(voc.ensure(folder))


@pytest.fixture
def few_scenes(monkeypatch):
    """Three scenes a split, so that a folder takes no time."""
    monkeypatch.setattr(spec, 'SCENES', dict.fromkeys(spec.SCENES, 3))
    sums = {split: voc.checksum(draw_scene(split, k) for k in range(3)) for split in spec.SCENES}
    monkeypatch.setattr(voc, 'CHECKSUMS', sums)


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


def test_a_cache_that_cannot_be_written_ends_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'file'))
    with pytest.raises(ValueError, match=r'cannot be drawn into .* set MMSEG_CLIPSURGERY_CACHE'):
        voc.ensure()
