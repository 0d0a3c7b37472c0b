"""Palette PNGs hold the labels themselves, in colours."""

import label_maps
import photos
from mmseg_clipsurgery.api.results import Segmentation

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize('labels', label_maps.MAPS.values(), ids=label_maps.MAPS.keys())
def test_the_labels_read_back_are_the_labels(tmp_path, labels):
    result = Segmentation(photos.photo(*labels.shape), labels, label_maps.CLASSES)
    result.save_palette(tmp_path / 'masks' / 'a.png')
    with Image.open(tmp_path / 'masks' / 'a.png') as image:
        assert image.mode == 'P'
        assert np.array_equal(image, labels)
        assert np.array_equal(np.asarray(image.convert('RGB')), np.array(result.colours())[labels])


def test_255_classes_fit_and_256_are_refused(tmp_path):
    labels = np.arange(255).reshape(15, 17)
    classes = tuple(f'class {k}' for k in range(256))
    photo = photos.photo(15, 17)
    Segmentation(photo, labels, classes[:255]).save_palette(tmp_path / 'a.png')
    assert np.array_equal(Image.open(tmp_path / 'a.png'), labels)
    with pytest.raises(
        ValueError, match=r'holds up to 255 classes, got 256; take the label map \(save_labels'
    ):
        Segmentation(photo, labels, classes).save_palette(tmp_path / 'b.png')
    assert not (tmp_path / 'b.png').exists()
