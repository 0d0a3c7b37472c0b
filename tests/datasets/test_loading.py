"""Masks with labels above 255: depth, what is ignored, chosen classes, images without a mask."""

import pickle

from mmseg_clipsurgery.datasets.loading import LoadDeepAnnotations
from mmseg_clipsurgery.datasets.mask_encodings import IGNORED_16_BIT

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

pytestmark = pytest.mark.mmseg

LABELS = [[0, 1, 255, 256, 846, 65535]] * 2


def load(path, values, **results):
    Image.fromarray(np.asarray(values)).save(path)
    return LoadDeepAnnotations().transform({'seg_map_path': str(path), 'seg_fields': [], **results})


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_labels_arrive_as_they_are(tmp_path, suffix):
    results = load(tmp_path / f'a.{suffix}', np.array(LABELS, np.uint16))
    assert results['gt_seg_map'].tolist() == LABELS
    assert results['gt_seg_map'].dtype == np.int32
    assert results['seg_fields'] == ['gt_seg_map']


def test_masks_of_8_bits_are_read_too(tmp_path):
    assert load(tmp_path / 'a.png', np.array([[0, 254, 255]], np.uint8))['gt_seg_map'].tolist() == [
        [0, 254, 255]
    ]


def test_zero_is_ignored_and_the_others_move_down(tmp_path):
    found = load(tmp_path / 'a.png', np.array(LABELS, np.uint16), reduce_zero_label=True)['gt_seg_map']
    assert found.tolist() == [[IGNORED_16_BIT, 0, 254, 255, 845, IGNORED_16_BIT]] * 2


def test_classes_are_exchanged_all_at_once(tmp_path):
    found = load(
        tmp_path / 'a.png', np.array([[0, 1, 2]], np.uint16), label_map={0: 1, 1: 0, 2: IGNORED_16_BIT}
    )
    assert found['gt_seg_map'].tolist() == [[1, 0, IGNORED_16_BIT]]


@pytest.mark.parametrize('results', [{}, {'seg_map_path': None}], ids=['no key', 'none'])
def test_an_image_without_a_mask_is_left_alone(results):
    assert LoadDeepAnnotations().transform(dict(results)) == results


def test_colours_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'a\.png has 3 channels: a mask has one'):
        load(tmp_path / 'a.png', np.zeros((2, 2, 3), np.uint8))


def test_it_is_registered_and_travels_to_workers():
    built = TRANSFORMS.build(dict(type='LoadDeepAnnotations', _scope_='mmseg'))
    assert repr(pickle.loads(pickle.dumps(built))) == "LoadDeepAnnotations(imdecode_backend='pillow')"
