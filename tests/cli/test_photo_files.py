"""Which files of folders are photos, and the names of their results."""

import os
from pathlib import Path

import photos
from mmseg_clipsurgery.api.images import read_image
from mmseg_clipsurgery.cli.files import find_photos

import numpy as np
import pytest
from PIL import features


@pytest.fixture
def folder(tmp_path) -> Path:
    photos.save(tmp_path / 'photos' / 'a.png', photos.photo())
    photos.save(tmp_path / 'photos' / 'below' / 'b.png', photos.photo())
    return tmp_path / 'photos'


def names(*inputs: Path, out: str = 'nowhere') -> list[str]:
    return [photo.name for photo in find_photos([str(path) for path in inputs], Path(out))[0]]


def test_every_ending_of_an_image_is_taken(tmp_path):
    for ending, kind in (
        ('jfif', 'JPEG'),
        ('jpe', 'JPEG'),
        ('JPG', 'JPEG'),
        ('pnm', 'PPM'),
        ('jp2', 'JPEG2000'),
    ):
        photos.save(tmp_path / f'{ending}.{ending}', photos.photo(), format=kind)
    photos.save(tmp_path / 'none', photos.photo(), format='PNG')
    if features.check('avif'):
        photos.save(tmp_path / 'avif.avif', photos.photo())
    (tmp_path / 'README').write_text('no photo')
    (tmp_path / 'table.csv').write_text('no photo')
    found, skipped = find_photos([str(tmp_path)], tmp_path / 'out')
    assert {photo.path for photo in found} == set(tmp_path.iterdir()) - set(skipped)
    assert sorted(path.name for path in skipped) == ['README', 'table.csv']
    for photo in found:
        pixels = read_image(photo.path)
        assert np.abs(pixels.astype(int) - photos.photo()).mean() < 20, photo.path


def test_what_cannot_be_decoded_says_what_to_do(tmp_path):
    (tmp_path / 'a.heic').write_bytes(b'\0\0\0\x18ftypheic' + bytes(40))
    assert names(tmp_path) == ['a']
    with pytest.raises(
        ValueError, match=r'a\.heic is no image .* decode AVIF or HEIC here; convert it to JPEG'
    ):
        read_image(tmp_path / 'a.heic')


def test_links_give_each_folder_and_file_once(folder):
    for name in ('0', 'z'):
        os.symlink(folder, folder / name)
        os.symlink(folder, folder / 'below' / name)
    os.symlink(folder / 'a.png', folder / '0.png')
    os.symlink(folder / 'below', folder / '1 below')
    assert names(folder) == ['a', 'below/b']
    assert names(folder, folder / 'a.png', folder / 'below') == ['a', 'below/b']


def test_links_to_elsewhere_are_followed(folder, tmp_path):
    photos.save(tmp_path / 'else' / 'c.png', photos.photo())
    os.symlink(tmp_path / 'else', folder / 'linked')
    os.symlink(tmp_path / 'else', folder / 'linked too')
    photos.save(tmp_path / 'd.png', photos.photo())
    os.symlink(tmp_path / 'd.png', folder / 'e.png')
    assert names(folder) == ['a', 'below/b', 'linked/c', 'e']


def test_long_names_are_cut_and_stay_apart(tmp_path):
    for end in 'ab':
        photos.save(tmp_path / f'{"x" * 240}{end}.png', photos.photo())
    first, second = names(tmp_path)
    assert first != second
    assert max(len(first), len(second)) <= 160
    assert names(tmp_path / f'{"x" * 240}a.png') == [first]


def test_a_folder_of_results_holds_no_photos(folder):
    assert names(folder, out=str(folder / 'below')) == ['a']
    with pytest.raises(ValueError, match='folder of the photos and of the results; give another --out'):
        names(folder, out=str(folder))


def test_each_folder_must_hold_photos(folder, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'empty holds no photos \(\.avif, '):
        names(folder, tmp_path / 'empty')


def test_pipes_and_unreadable_folders_are_no_photos(folder):
    os.mkfifo(folder / 'pipe')
    assert names(folder) == ['a', 'below/b']
    assert [path.name for path in find_photos([str(folder)], Path('nowhere'))[1]] == ['pipe']
