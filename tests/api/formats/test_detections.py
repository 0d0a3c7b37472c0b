"""Labels as supervision's detections."""

import sys

import label_maps
import photos
from mmseg_clipsurgery.api.results import Segmentation

import numpy as np
import pytest


@pytest.mark.slow
@pytest.mark.parametrize('name', label_maps.MAPS)
def test_masks_boxes_and_names_are_those_of_the_labels(name):
    pytest.importorskip('supervision')
    labels = label_maps.MAPS[name]
    scores = np.random.default_rng(0).random((4, *labels.shape))
    result = Segmentation(photos.photo(*labels.shape), labels, label_maps.CLASSES, scores)
    found = result.to_supervision()
    assert found.class_id.tolist() == [label for label in np.unique(labels) if label]
    for place, label in enumerate(found.class_id.tolist()):
        name, mask = label_maps.CLASSES[label], found.mask[place]
        assert found.data['class_name'][place] == name
        assert np.array_equal(mask, result.mask(name))
        rows, columns = np.nonzero(mask)
        assert found.xyxy[place].tolist() == [columns.min(), rows.min(), columns.max(), rows.max()]
        assert found.confidence[place] == pytest.approx(scores[label][mask].mean())


@pytest.mark.slow
def test_without_scores_there_is_no_confidence():
    pytest.importorskip('supervision')
    labels = label_maps.MAPS['blots']
    assert Segmentation(photos.photo(40, 52), labels, label_maps.CLASSES).to_supervision().confidence is None
    one_word = Segmentation(
        photos.photo(40, 52), labels.clip(0, 1), ('background', 'cat'), np.zeros((1, 40, 52))
    )
    assert one_word.to_supervision().confidence is None


def test_without_supervision_the_sentence_has_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    result = Segmentation(photos.photo(9, 7), label_maps.MAPS['one class'], label_maps.CLASSES)
    with pytest.raises(
        ImportError, match=r'needs supervision, .*: pip install "mmseg_clipsurgery\[supervision\]"'
    ):
        result.to_supervision()
