"""LabelMe's polygons, drawn as LabelMe draws them, are the regions again."""

import json

import label_maps
import photos
from label_maps import border, union
from mmseg_clipsurgery.api.formats.polygons import polygons
from mmseg_clipsurgery.api.results import Segmentation

import numpy as np
import pytest


@pytest.mark.parametrize('labels', label_maps.MAPS.values(), ids=label_maps.MAPS.keys())
def test_polygons_without_tolerance_are_the_mask_itself(labels):
    for label in range(4):
        mask = labels == label
        assert np.array_equal(union(polygons(mask, tolerance=0), labels.shape), mask), label


@pytest.mark.parametrize('labels', label_maps.MAPS.values(), ids=label_maps.MAPS.keys())
def test_polygons_read_back_within_one_pixel(tmp_path, labels):
    result = Segmentation(photos.photo(*labels.shape), labels, label_maps.CLASSES)
    result.save_labelme(tmp_path / 'out' / 'a.json', tmp_path / 'photos' / 'a.jpg')
    record = json.loads((tmp_path / 'out' / 'a.json').read_text(encoding='utf-8'))
    assert (record['imageHeight'], record['imageWidth']) == labels.shape
    assert record['imagePath'] == '../photos/a.jpg'
    assert record['imageData'] is None
    assert {shape['shape_type'] for shape in record['shapes']} <= {'polygon'}
    assert all(len(shape['points']) >= 3 for shape in record['shapes'])
    assert {shape['label'] for shape in record['shapes']} == {
        label_maps.CLASSES[label] for label in np.unique(labels) if label
    }
    for name in label_maps.CLASSES[1:]:
        found = union([one['points'] for one in record['shapes'] if one['label'] == name], labels.shape)
        differs = found != result.mask(name)
        assert not (differs & ~border(result.mask(name))).any(), name


def test_straight_and_slanted_borders_need_few_corners():
    rows, columns = np.indices((200, 300))
    (corners,) = polygons((rows > 20) & (columns < 290))
    assert len(corners) == 4
    (corners,) = polygons((rows < 0.37 * columns) & (columns < 290))
    assert len(corners) < 100  # its border has 690 pixels
