"""The scenes as a data set of MMSeg: names, colours, folders."""

import hashlib

from loaded_masks import build, truths, write
from mmseg_clipsurgery import scenes
from mmseg_clipsurgery.datasets.scenes import ScenesDataset
from mmseg_clipsurgery.scenes import voc

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.mmseg


def test_each_class_has_a_name_and_a_colour_of_its_own():
    meta = ScenesDataset.METAINFO
    assert meta['classes'] == scenes.CLASSES
    assert len({tuple(colour) for colour in meta['palette']}) == len(set(meta['classes'])) == 14


@pytest.fixture
def scenes_folder(tmp_path):
    for split, label in (('val', 0), ('heldout', 13)):
        write(tmp_path, f'JPEGImages/{split}_000.png', f'SegmentationClass/{split}_000.png', [label, label])
        (tmp_path / 'ImageSets' / 'Segmentation').mkdir(parents=True, exist_ok=True)
        (tmp_path / 'ImageSets' / 'Segmentation' / f'{split}.txt').write_text(f'{split}_000\n')
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        pytest.param({}, [[0, 0]], id='validation set'),
        pytest.param(dict(ann_file='ImageSets/Segmentation/heldout.txt'), [[13, 13]], id='held-out pairs'),
    ],
)
def test_scenes_come_from_a_folder_or_are_drawn(scenes_folder, monkeypatch, settings, expected):
    assert truths(build('ScenesDataset', data_root=str(scenes_folder), **settings)) == expected
    monkeypatch.setattr(scenes, 'ensure', lambda splits: scenes_folder)
    assert truths(build('ScenesDataset', **settings)) == expected


def test_a_folder_of_earlier_scenes_is_named_whoever_gives_it(scenes_folder, monkeypatch):
    files = (scenes_folder / place / 'val_000.png' for place in ('JPEGImages', 'SegmentationClass'))
    pixels = b''.join(np.asarray(Image.open(file)).tobytes() for file in files)
    monkeypatch.setitem(voc.EARLIER, hashlib.sha256(pixels).hexdigest(), 2)
    with pytest.raises(
        ValueError, match=rf'holds scenes of version 2, not {scenes.VERSION}: leave data_root out'
    ):
        build('ScenesDataset', data_root=str(scenes_folder))
    build('ScenesDataset', data_root=str(scenes_folder), ann_file='ImageSets/Segmentation/heldout.txt')


def test_a_list_that_no_scenes_have_is_named_with_those_that_are_there(scenes_folder, monkeypatch):
    monkeypatch.setattr(scenes, 'ensure', lambda splits: scenes_folder)
    there = r'the split file .*test\.txt does not exist; beside it are heldout\.txt, val\.txt: name one'
    with pytest.raises(FileNotFoundError, match=there):
        build('ScenesDataset', ann_file='ImageSets/Segmentation/test.txt')


def test_drawn_scenes_state_their_version_and_others_none(scenes_folder, monkeypatch):
    assert 'version' not in build('ScenesDataset', data_root=str(scenes_folder)).metainfo
    monkeypatch.setattr(scenes, 'ensure', lambda splits: scenes_folder)
    assert build('ScenesDataset').metainfo['version'] == scenes.VERSION
