"""Public data sets that MMSeg lacks: names, colours, label encodings, files."""

from loaded_masks import build, truths, write
from mmseg_clipsurgery.datasets.public import COCOObjectDataset, PascalVOC20Dataset

import pytest
from mmseg.registry import DATASETS

pytestmark = pytest.mark.mmseg


@pytest.mark.parametrize('name', ['PascalVOC20Dataset', 'COCOObjectDataset'])
def test_one_colour_for_each_name(name):
    meta = DATASETS.get(name).METAINFO
    assert len(meta['palette']) == len(meta['classes']) == len(set(meta['classes']))
    assert all(len(colour) == 3 and 0 <= min(colour) <= max(colour) <= 255 for colour in meta['palette'])


def test_names_follow_mmseg():
    voc, stuff = DATASETS.get('PascalVOCDataset').METAINFO, DATASETS.get('COCOStuffDataset').METAINFO
    assert PascalVOC20Dataset.METAINFO['classes'] == voc['classes'][1:]
    assert PascalVOC20Dataset.METAINFO['palette'] == voc['palette'][1:]
    names = COCOObjectDataset.METAINFO['classes']
    assert (names[0], names[1], names[80], len(names)) == ('background', 'person', 'toothbrush', 81)
    assert names[1:] == stuff['classes'][:80]


@pytest.mark.slow
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


@pytest.mark.slow
def test_coco_object_takes_its_own_masks_among_those_of_coco_stuff(tmp_path):
    write(tmp_path, 'images/7.jpg', 'masks/7_labelTrainIds.png', [5, 170])
    write(tmp_path, 'images/7.jpg', 'masks/7_instanceTrainIds.png', [0, 80, 0])
    data_set = build(
        'COCOObjectDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images', seg_map_path='masks'),
    )
    assert truths(data_set) == [[0, 80, 0]]
