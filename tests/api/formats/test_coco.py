"""COCO's file of a run, read by pycocotools and by supervision: the masks are the masks."""

import json
import sys

import label_maps
from mmseg_clipsurgery.api.formats.coco import write_coco

import numpy as np
import pytest
from PIL import Image

MAPS = {f'{name}.png': labels for name, labels in label_maps.MAPS.items()}


def write(path, maps=MAPS, classes=label_maps.CLASSES):
    write_coco(path, {name: lambda labels=labels: labels for name, labels in maps.items()}, classes)
    return path


@pytest.mark.parametrize(
    'classes', [label_maps.CLASSES, ('sky', *label_maps.CLASSES[1:])], ids=['background', 'none']
)
def test_masks_read_back_by_pycocotools_are_the_masks(tmp_path, capsys, classes):
    coco = pytest.importorskip('pycocotools.coco').COCO(
        str(write(tmp_path / 'new' / 'coco.json', classes=classes))
    )
    names = {category['id']: category['name'] for category in coco.cats.values()}
    shown = [name for name in classes if name != 'background']
    assert sorted(names) == list(range(1, len(shown) + 1))
    assert list(names.values()) == shown
    assert [image['file_name'] for image in coco.imgs.values()] == list(MAPS)
    for image in coco.imgs.values():
        labels = MAPS[image['file_name']]
        assert (image['height'], image['width']) == labels.shape
        found = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        masks = {names[one['category_id']]: coco.annToMask(one).astype(bool) for one in found}
        occurring = [classes[label] for label in np.unique(labels) if classes[label] != 'background']
        assert list(masks) == occurring
        for one, (name, mask) in zip(found, masks.items(), strict=True):
            assert np.array_equal(mask, labels == classes.index(name))
            rows, columns = np.nonzero(mask)
            assert one['area'] == mask.sum()
            assert one['bbox'] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


@pytest.mark.slow
def test_supervision_reads_the_same_masks(tmp_path):
    supervision = pytest.importorskip('supervision')
    for name, labels in MAPS.items():
        Image.fromarray(labels.astype(np.uint8)).save(tmp_path / name)
    dataset = supervision.DetectionDataset.from_coco(
        str(tmp_path), str(write(tmp_path / 'coco.json')), force_masks=True
    )
    assert len(dataset) == len(MAPS)
    for path, _, found in dataset:
        labels = MAPS[path.rpartition('/')[2]]
        for mask, number in zip(found.mask if len(found) else [], found.class_id, strict=True):
            assert np.array_equal(mask, labels == label_maps.CLASSES.index(dataset.classes[number]))


def test_a_file_that_fails_half_way_is_not_there(tmp_path):
    def fail():
        raise OSError(5, 'read error')

    pytest.importorskip('pycocotools')
    with pytest.raises(OSError, match='read error'):
        write_coco(tmp_path / 'coco.json', {'a.png': lambda: np.ones((3, 4), int), 'b.png': fail}, ('a', 'b'))
    assert not list(tmp_path.iterdir())


def test_what_is_no_label_map_of_these_classes_is_refused(tmp_path):
    pytest.importorskip('pycocotools')
    labels = np.array([[0, 2], [255, 1]])
    with pytest.raises(ValueError, match=r'the label 2 and 2 classes, from 0; give a name'):
        write_coco(tmp_path / 'coco.json', {'a.png': lambda: labels}, ('a', 'b'))
    with pytest.raises(ValueError, match=r'a.png: give a function without arguments .*, got ndarray'):
        write_coco(tmp_path / 'coco.json', {'a.png': labels}, ('a', 'b', 'c'))
    with pytest.raises(ValueError, match=r'coco.txt'):
        write_coco(tmp_path / 'coco.txt', {'a.png': lambda: labels}, ('a', 'b', 'c'))
    write_coco(tmp_path / 'coco.json', {'a.png': lambda: labels}, ('a', 'b', 'c'))
    assert (
        len(json.loads((tmp_path / 'coco.json').read_text())['annotations']) == 3
    )  # none for 255, which is ignored


def test_without_pycocotools_the_sentence_has_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pycocotools', None)
    with pytest.raises(ImportError, match=r'needs pycocotools, .*: pip install "mmseg_clipsurgery\[coco\]"'):
        write(tmp_path / 'coco.json')
