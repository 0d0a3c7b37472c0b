"""Masks as published become masks as evaluated: numbers, bit depth, sizes, what is there already, what is wrong."""

import re

import mini_datasets
from mmseg_clipsurgery.cli import convert
from mmseg_clipsurgery.datasets.converters import (
    ade20k_847_jobs,
    ade20k_size,
    cityscapes_jobs,
    coco_jobs,
    coco_train_ids,
    context_59,
    context_jobs,
    run,
)

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.mmseg


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def row(path) -> list[int]:
    """The labels of a mask from left to right, each once."""
    found = read(path)[0].tolist()
    return [label for i, label in enumerate(found) if i == 0 or found[i - 1] != label]


@pytest.fixture
def coco(tmp_path):
    root = mini_datasets.make('coco_stuff164k', tmp_path)
    for made in root.glob('annotations/val2017/*TrainIds.png'):
        made.unlink()
    return root


def test_coco_numbers():
    table = coco_train_ids()
    assert len(table) == 171
    # person, street sign's gap, backpack, hair drier, toothbrush (90 - 1), banner, wood
    assert (table[0], table.get(11), table[26], table[88], table[89], table[91], table[181]) == (
        *(0, None, 24, 78, 79, 80, 170),
    )


def test_coco_masks(coco):
    assert run(coco_jobs(coco)) == (4, 0)
    for image in coco.glob('images/val2017/*.jpg'):
        masks = coco / 'annotations/val2017'
        assert row(masks / f'{image.stem}_labelTrainIds.png') == [0, 79, 80, 170, 255]
        assert row(masks / f'{image.stem}_instanceTrainIds.png') == [1, 80, 0, 255]
    assert run(coco_jobs(coco)) == (0, 4)


def test_coco_object_from_train_ids(coco):
    run(coco_jobs(coco, targets=['stuff']))
    for ids in coco.glob('annotations/val2017/*.png'):
        if 'TrainIds' not in ids.name:
            ids.unlink()
    assert run(coco_jobs(coco, targets=['object'])) == (2, 0)
    assert row(next(coco.glob('annotations/val2017/*_instanceTrainIds.png'))) == [1, 80, 0, 255]


def test_cityscapes_masks(tmp_path):
    root = mini_datasets.make('cityscapes', tmp_path)
    for made in root.glob('gtFine/val/*/*_labelTrainIds.png'):
        made.unlink()
    assert run(cityscapes_jobs(root)) == (2, 0)
    assert row(next(root.glob('gtFine/val/munster/*_labelTrainIds.png'))) == [0, 18, 255]


def test_context_59_is_the_choice_of_mmsegs_own_converter():
    # Numbers of the 59 classes in its table, among the 459.
    published = {
        *(2, 259, 260, 415, 324, 9, 258, 144, 18, 19, 22, 23, 397, 25, 284, 158, 159, 416, 33, 162),
        *(420, 454, 295, 296, 427, 44, 45, 46, 308, 59, 440, 445, 31, 232, 65, 354, 424, 68, 326, 72),
        *(458, 34, 207, 80, 355, 85, 347, 220, 349, 360, 98, 187, 104, 105, 366, 189, 368, 113, 115),
    }
    table = context_59()
    assert {number for number, label in table.items() if label} == published
    assert [label for _, label in sorted(table.items()) if label] == list(range(1, 60))


def test_context_masks(tmp_path):
    scipy_io = pytest.importorskip('scipy.io')
    (tmp_path / 'trainval').mkdir()
    scipy_io.savemat(
        tmp_path / 'trainval/a.mat', {'LabelMap': np.array([[1, 2, 458, 459], [0, 9, 3, 3]], np.uint16)}
    )
    names = tmp_path / 'val.txt'
    names.write_text('a\n')
    assert run(context_jobs(tmp_path, names)) == (2, 0)
    assert read(tmp_path / 'SegmentationClassContext/a.png').tolist() == [[0, 1, 59, 0], [0, 2, 0, 0]]
    deep = read(tmp_path / 'SegmentationClassContext459/a.png')
    assert deep.tolist() == [[0, 1, 457, 458], [65535, 8, 2, 2]]


def full_ade20k(root, numbers, size):
    """One image of the full ADE20K, its mask in bands of these object numbers."""
    folder = root / 'images/ADE/validation/urban/street'
    mini_datasets.photo(folder / 'ADE_val_00000001.jpg', size)
    objects = mini_datasets.labels(size, *numbers).astype(np.int64)
    colours = np.stack([objects // 256 * 10, objects % 256, np.full(size, 7)], axis=-1)
    mini_datasets.save(folder / 'ADE_val_00000001_seg.png', colours.astype(np.uint8))


@pytest.mark.parametrize(
    ('size', 'expected'),
    [
        pytest.param((40, 60), (40, 60), id='as it is'),
        pytest.param((600, 720), (512, 614), id='landscape'),
        pytest.param((720, 600), (614, 512), id='portrait'),
    ],
)
def test_ade20k_847(tmp_path, size, expected):
    full_ade20k(
        tmp_path, (2978, 312, 3148, 0, 1), size
    )  # wall, building, adding machine, nothing, not evaluated
    assert run(ade20k_847_jobs(tmp_path)) == (2, 0)
    mask = tmp_path / 'annotations_847/validation/ADE_val_00000001.png'
    assert row(mask) == [0, 1, 846, 65535]
    assert read(mask).shape == expected
    image = tmp_path / 'images_847/validation/ADE_val_00000001.jpg'
    assert read(image).shape == (*expected, 3)
    source = next(tmp_path.glob('images/ADE/**/*.jpg'))
    assert (image.read_bytes() == source.read_bytes()) is (size == expected)


def test_ade20k_size_keeps_the_ratio():
    assert ade20k_size((2000, 1000)) == (1024, 512)
    assert ade20k_size((512, 4000)) == (512, 4000)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param('label', r'000000000139\.png holds label 200', id='unknown label'),
        pytest.param('colours', r'000000000139\.png has 3 channels', id='colours'),
        pytest.param('gone', r'000000000139\.png does not exist: download', id='no mask'),
        pytest.param('empty', r'no \*\.jpg in .*val2017: give the folder', id='no images'),
    ],
)
def test_bad_sources(coco, capsys, change, message):
    mask = coco / 'annotations/val2017/000000000139.png'
    if change == 'label':
        mini_datasets.mask(mask, mini_datasets.labels((36, 48), 0, 200))
    elif change == 'colours':
        mini_datasets.photo(mask, (36, 48))
    elif change == 'gone':
        mask.unlink()
    else:
        for image in coco.glob('images/val2017/*.jpg'):
            image.unlink()
    assert convert.main(['coco', str(coco)]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (coco / 'annotations/val2017/000000000139_labelTrainIds.png').exists()


def test_command(coco, capsys):
    assert convert.main(['coco', str(coco), '--targets', 'object']) == 0
    assert '2 files made, 0 were there already' in capsys.readouterr().out


def test_context_command_finds_a_split_and_leaves_one_for_mmseg(tmp_path, capsys):
    scipy_io = pytest.importorskip('scipy.io')
    assert convert.main(['context', str(tmp_path)]) == 1
    assert 'has none of ImageSets/SegmentationContext/val.txt' in capsys.readouterr().err
    (tmp_path / 'pascalcontext_val.txt').write_text('a\n')
    (tmp_path / 'trainval').mkdir()
    scipy_io.savemat(tmp_path / 'trainval/a.mat', {'LabelMap': np.ones((2, 2), np.uint16)})
    assert convert.main(['context', str(tmp_path)]) == 0
    assert (tmp_path / 'ImageSets/SegmentationContext/val.txt').read_text() == 'a\n'
