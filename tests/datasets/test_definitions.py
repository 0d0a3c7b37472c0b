"""Our data sets: names, colours, label encodings, folders."""

from mmseg_clipsurgery import scenes
from mmseg_clipsurgery.datasets import definitions as datasets

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

pytestmark = pytest.mark.mmseg

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]


def write(root, image: str, mask: str, row: list[int]) -> None:
    labels = np.array([row, row], np.uint8)  # MMSeg's loader squeezes a mask of a single row
    for name, pixels in ((image, np.zeros((*labels.shape, 3), np.uint8)), (mask, labels)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / name), pixels)


def truths(data_set) -> list[list[int]]:
    return [item['data_samples'].gt_sem_seg.data[0, 0].tolist() for item in data_set]


def build(kind: str, **settings):
    return DATASETS.build(dict(type=kind, pipeline=LOAD, test_mode=True, _scope_='mmseg', **settings))


@pytest.mark.parametrize('name', ['ScenesDataset', 'PascalVOC20Dataset', 'COCOObjectDataset'])
def test_one_colour_for_each_name(name):
    meta = DATASETS.get(name).METAINFO
    assert len(meta['palette']) == len(meta['classes']) == len(set(meta['classes']))
    assert all(len(colour) == 3 and 0 <= min(colour) <= max(colour) <= 255 for colour in meta['palette'])


def test_scenes_have_colours_of_their_own():
    assert (
        len({tuple(colour) for colour in datasets.ScenesDataset.METAINFO['palette']})
        == len(scenes.CLASSES)
        == 14
    )


def test_names_follow_mmseg():
    voc, stuff = DATASETS.get('PascalVOCDataset').METAINFO, DATASETS.get('COCOStuffDataset').METAINFO
    assert datasets.PascalVOC20Dataset.METAINFO['classes'] == voc['classes'][1:]
    assert datasets.PascalVOC20Dataset.METAINFO['palette'] == voc['palette'][1:]
    names = datasets.COCOObjectDataset.METAINFO['classes']
    assert (names[0], names[1], names[80], len(names)) == ('background', 'person', 'toothbrush', 81)
    assert names[1:] == stuff['classes'][:80]


def test_voc20_ignores_background_and_moves_the_others_down(tmp_path):
    write(tmp_path, 'JPEGImages/a.jpg', 'SegmentationClass/a.png', [0, 1, 20, 255])
    write(tmp_path, 'JPEGImages/b.jpg', 'SegmentationClass/b.png', [0, 0, 0, 2])
    (tmp_path / 'val.txt').write_text('a\n')
    data_set = build(
        'PascalVOC20Dataset',
        data_root=str(tmp_path),
        ann_file='val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    )
    assert truths(data_set) == [[255, 0, 19, 255]]


def test_coco_object_takes_its_own_masks_among_those_of_coco_stuff(tmp_path):
    write(tmp_path, 'images/7.jpg', 'masks/7_labelTrainIds.png', [5, 170])
    write(tmp_path, 'images/7.jpg', 'masks/7_instanceTrainIds.png', [0, 80, 255])
    data_set = build(
        'COCOObjectDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images', seg_map_path='masks'),
    )
    assert truths(data_set) == [[0, 80, 255]]


@pytest.fixture
def scenes_folder(tmp_path):
    for split, label in (('val', 0), ('heldout', 13)):
        write(tmp_path, f'JPEGImages/{split}_0.png', f'SegmentationClass/{split}_0.png', [label, label])
        (tmp_path / 'ImageSets' / 'Segmentation').mkdir(parents=True, exist_ok=True)
        (tmp_path / 'ImageSets' / 'Segmentation' / f'{split}.txt').write_text(f'{split}_0\n')
    return tmp_path


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        pytest.param({}, [[0, 0]], id='validation set'),
        pytest.param(dict(ann_file='ImageSets/Segmentation/heldout.txt'), [[13, 13]], id='held-out pairs'),
    ],
)
def test_scenes_come_from_a_folder_or_are_drawn(scenes_folder, monkeypatch, settings, expected):
    assert truths(build('ScenesDataset', data_root=str(scenes_folder), **settings)) == expected
    monkeypatch.setattr(scenes, 'ensure', lambda: scenes_folder, raising=False)
    assert truths(build('ScenesDataset', **settings)) == expected
