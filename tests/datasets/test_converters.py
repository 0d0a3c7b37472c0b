"""Masks as published become masks as evaluated: numbers, bit depth, sizes, what is there already, what is wrong."""

import re
from dataclasses import replace

import mini_datasets
from mmseg_clipsurgery.cli import convert
from mmseg_clipsurgery.datasets.converters.ade20k_847 import ade20k_847_jobs, evaluated_size, label_of_object
from mmseg_clipsurgery.datasets.converters.cityscapes import cityscapes_jobs
from mmseg_clipsurgery.datasets.converters.coco import coco_jobs, stuff_of_ids
from mmseg_clipsurgery.datasets.converters.context import EVALUATED_SPLIT, context_59, context_jobs
from mmseg_clipsurgery.datasets.converters.jobs import Job, run
from mmseg_clipsurgery.datasets.mask_encodings import own

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

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


def test_coco_train_ids_count_the_label_ids_in_use():
    table = stuff_of_ids()
    assert table.pop(255) == 255
    assert len(table) == 171
    # person, street sign's gap, backpack, hair drier, toothbrush (90 - 1), banner, wood
    assert (table[0], table.get(11), table[26], table[88], table[89], table[91], table[181]) == (
        *(0, None, 24, 78, 79, 80, 170),
    )


def test_coco_masks_have_their_own_labels_and_are_made_once(coco):
    assert run(coco_jobs(coco)) == (4, 0)
    for image in coco.glob('images/val2017/*.jpg'):
        masks = coco / 'annotations/val2017'
        assert row(masks / f'{image.stem}_labelTrainIds.png') == [0, 79, 80, 170, 255]
        assert row(masks / f'{image.stem}_instanceTrainIds.png') == [1, 80, 0]
    assert run(coco_jobs(coco)) == (0, 4)


@pytest.mark.parametrize(
    ('kind', 'labels'),
    [
        pytest.param('', [0, 255, 100], id='label ids'),
        pytest.param('_labelTrainIds', [0, 255, 90], id='train ids'),
    ],
)
def test_unlabelled_pixels_are_background_in_coco_object(tmp_path, kind, labels):
    mini_datasets.photo(tmp_path / 'images/val2017/7.jpg', (2, 3))
    mini_datasets.mask(tmp_path / f'annotations/val2017/7{kind}.png', np.array([labels] * 2, np.uint8))
    run(coco_jobs(tmp_path, targets=['object']))
    found = read(tmp_path / 'annotations/val2017/7_instanceTrainIds.png')
    assert found.tolist() == [[1, 0, 0]] * 2
    assert found.dtype == np.uint8
    assert set(found.ravel().tolist()) <= own('COCOObjectDataset')


def test_coco_object_is_made_from_train_ids_where_label_ids_are_gone(coco):
    run(coco_jobs(coco, targets=['stuff']))
    for ids in coco.glob('annotations/val2017/*.png'):
        if 'TrainIds' not in ids.name:
            ids.unlink()
    assert run(coco_jobs(coco, targets=['object'])) == (2, 0)
    assert row(next(coco.glob('annotations/val2017/*_instanceTrainIds.png'))) == [1, 80, 0]


def test_train_ids_are_left_alone_where_label_ids_are_gone(coco):
    run(coco_jobs(coco, targets=['stuff']))
    train_ids = {path: path.read_bytes() for path in coco.glob('annotations/val2017/*_labelTrainIds.png')}
    for path in train_ids:
        path.with_name(path.name.replace('_labelTrainIds', '')).unlink()
    assert run(coco_jobs(coco)) == (2, 2)  # two masks of COCO-Object
    assert {path: path.read_bytes() for path in train_ids} == train_ids


def test_cityscapes_masks_hold_train_ids(tmp_path):
    root = mini_datasets.make('cityscapes', tmp_path)
    for made in root.glob('gtFine/val/*/*_labelTrainIds.png'):
        made.unlink()
    assert run(cityscapes_jobs(root)) == (2, 0)
    assert row(next(root.glob('gtFine/val/munster/*_labelTrainIds.png'))) == [0, 18, 255]


@pytest.mark.parametrize(
    ('label', 'expected'),
    [
        pytest.param(33, 18, id='the last'),
        pytest.param(34, None, id='beyond'),
        pytest.param(255, 255, id='no label'),
    ],
)
def test_cityscapes_has_label_ids_to_33(tmp_path, label, expected):
    ids = tmp_path / 'gtFine/val/ulm/ulm_0_gtFine_labelIds.png'
    mini_datasets.mask(ids, np.full((4, 6), label, np.uint8))
    if expected is None:
        with pytest.raises(
            ValueError, match=r'ulm_0_gtFine_labelIds\.png holds label 34, which its data set'
        ):
            run(cityscapes_jobs(tmp_path))
    else:
        run(cityscapes_jobs(tmp_path))
        assert row(ids.with_name('ulm_0_gtFine_labelTrainIds.png')) == [expected]


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


def context_file(root, name: str, labels, kind=np.uint16, key: str = 'LabelMap') -> None:
    """A MATLAB file of PASCAL Context."""
    (root / 'trainval').mkdir(exist_ok=True)
    savemat(root / f'trainval/{name}.mat', {key: np.array(labels, kind)})


def test_context_masks_hold_both_sets_of_classes(tmp_path):
    context_file(tmp_path, 'a', [[1, 2, 458, 459], [0, 9, 3, 3]])
    assert run(context_jobs(tmp_path, ['a'])) == (2, 0)
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
def test_ade20k_847_is_labelled_and_made_smaller(tmp_path, size, expected):
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


def test_ade20k_847_keeps_the_ratio():
    assert evaluated_size((2000, 1000)) == (1024, 512)
    assert evaluated_size((512, 4000)) == (512, 4000)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        pytest.param(
            'ADE_val_00000001_seg.png', 'grey', r'_seg\.png has 1 channels and a mask of the', id='grey'
        ),
        pytest.param('ADE_val_00000001_seg.png', 'palette', r'_seg\.png has 1 channels and', id='palette'),
        pytest.param(
            'ADE_val_00000001_seg.png', 'html', r'_seg\.png is not a readable image .*: fetch', id='page'
        ),
        pytest.param(
            'ADE_val_00000001_seg.png', 'large', r'_seg\.png is \(12, 12\) and its image', id='size'
        ),
        pytest.param(
            'ADE_val_00000001.jpg', 'html', r'001\.jpg is not a readable image .*: fetch', id='photo'
        ),
    ],
)
def test_a_wrong_file_of_the_full_ade20k_gets_a_sentence(tmp_path, capsys, name, content, message):
    full_ade20k(tmp_path, (2978, 312), (8, 10))
    path = tmp_path / 'images/ADE/validation/urban/street' / name
    match content:
        case 'grey':
            mini_datasets.mask(path, np.ones((8, 10), np.uint8))
        case 'palette':
            mini_datasets.palette(path, np.ones((8, 10), np.uint8))
        case 'html':
            path.write_text('<html>')
        case 'large':
            mini_datasets.photo(path, (12, 12))
    assert convert.main(['ade20k-847', str(tmp_path)]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.glob('annotations_847/validation/*'))


def test_two_images_of_one_name_are_not_made_into_one(tmp_path, capsys):
    full_ade20k(tmp_path, (2978,), (8, 10))
    folder = tmp_path / 'images/ADE/validation'
    (folder / 'urban/street').rename(folder / 'street')
    full_ade20k(tmp_path, (312,), (8, 10))
    assert convert.main(['ade20k-847', str(tmp_path)]) == 1
    assert re.search(
        r'street/ADE_val_00000001\.jpg and .*street/ADE_val_00000001\.jpg would both be made into .*: take one',
        capsys.readouterr().err,
    )
    assert not list(tmp_path.glob('*_847'))


def test_object_numbers_are_847_different_ones():
    labels = label_of_object()
    made = labels[labels != 65535]
    assert sorted(made.tolist()) == list(range(847))


def test_a_target_that_is_a_folder_gets_a_sentence(coco, capsys):
    masks = coco / 'annotations/val2017'
    (masks / '000000000139_labelTrainIds.png').mkdir()
    assert convert.main(['coco', str(coco), '--targets', 'stuff']) == 1
    assert re.search(r'000000000139_labelTrainIds\.png: .+; it is a folder', capsys.readouterr().err)


@pytest.mark.parametrize('cut', [0, 40], ids=['empty', 'truncated'])
def test_what_an_interrupted_download_left_is_refused(coco, capsys, cut):
    mask = coco / 'annotations/val2017/000000000139.png'
    mask.write_bytes(mask.read_bytes()[:cut])
    assert convert.main(['coco', str(coco)]) == 1
    assert re.search(
        r'000000000139\.png is not a readable image \(.+\): fetch it again', capsys.readouterr().err
    )


def test_a_mask_of_one_bit_is_refused(coco, capsys):
    mask = coco / 'annotations/val2017/000000000139.png'
    Image.fromarray(np.eye(36, 48) > 0).save(mask)
    assert convert.main(['coco', str(coco)]) == 1
    assert '000000000139.png holds bool numbers and labels are integers' in capsys.readouterr().err


def test_a_palette_says_numbers_and_its_colours_nothing(coco):
    mask = coco / 'annotations/val2017/000000000139.png'
    mini_datasets.palette(mask, mini_datasets.labels((36, 48), 0, 91, 255))
    run(coco_jobs(coco))
    assert row(mask.with_name('000000000139_labelTrainIds.png')) == [0, 80, 255]


@pytest.mark.parametrize('name', ['coco', 'cityscapes', 'ade20k-847'])
def test_a_folder_without_the_data_set_is_refused(tmp_path, capsys, name):
    assert convert.main([name, str(tmp_path)]) == 1
    assert 'give the folder of the data set as docs/datasets.md shows it' in capsys.readouterr().err


def test_an_interrupted_conversion_goes_on_where_it_was(coco):
    jobs = coco_jobs(coco)
    whole = {job.target: Image.fromarray(np.asarray(job.make())).tobytes() for job in jobs}

    def stop() -> Image.Image:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([*jobs[:2], replace(jobs[2], make=stop), jobs[3]], threads=1)
    assert [job.target.is_file() for job in jobs[:3]] == [True, True, False]
    assert not list(coco.rglob('*.tmp'))
    made, there = run(jobs)
    assert (made + there, made >= 1) == (4, True)
    assert {job.target: Image.fromarray(read(job.target)).tobytes() for job in jobs} == whole


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param('label', r'000000000139\.png holds label 200', id='unknown label'),
        pytest.param('colours', r'000000000139\.png has 3 channels', id='colours'),
        pytest.param('gone', r'000000000139\.png does not exist: download', id='no mask'),
        pytest.param('empty', r'no \*\.jpg in .*val2017: give the folder', id='no images'),
    ],
)
def test_a_source_that_is_not_the_published_one_is_refused(coco, capsys, change, message):
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


def test_the_command_makes_the_masks_asked_for(coco, capsys):
    assert convert.main(['coco', str(coco), '--targets', 'object']) == 0
    assert '2 files made, 0 were there already' in capsys.readouterr().out


def test_a_missing_source_is_found_before_the_first_file_is_made(tmp_path):
    made = Job(tmp_path / 'there', tmp_path / 'a.png', lambda: Image.new('L', (2, 2)))
    missing = Job(
        tmp_path / 'gone', tmp_path / 'b.png', lambda: Image.new('L', (2, 2)), remedy='look elsewhere'
    )
    made.source.touch()
    with pytest.raises(FileNotFoundError, match=r'gone does not exist: look elsewhere$'):
        run([made, missing])
    assert not made.target.exists()


@pytest.fixture
def voc2010(tmp_path):
    """Two images with MATLAB files, and VOC 2010's own split."""
    for name in 'ab':
        context_file(tmp_path, name, np.ones((2, 2)))
    mini_datasets.split(tmp_path / 'ImageSets/Main/val.txt', ['a', 'b'])
    return tmp_path


def test_context_without_a_split_says_which_there_may_be(tmp_path, capsys):
    assert convert.main(['context', str(tmp_path)]) == 1
    assert (
        'has none of pascalcontext_val.txt, ImageSets/SegmentationContext/val.txt' in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ('splits', 'options', 'expected'),
    [
        pytest.param({}, [], 'ab', id="VOC 2010's own"),
        pytest.param({EVALUATED_SPLIT: 'b'}, [], 'b', id="MMSeg's"),
        pytest.param(
            {EVALUATED_SPLIT: 'ab', 'pascalcontext_val.txt': 'a'}, [], 'a', id="CAT-Seg's before a made one"
        ),
        pytest.param({EVALUATED_SPLIT: 'ab', 'own.txt': 'b'}, ['--split', 'own.txt'], 'b', id='given'),
    ],
)
def test_context_leaves_the_split_it_used_for_mmseg(voc2010, monkeypatch, splits, options, expected):
    monkeypatch.chdir(voc2010)
    for name, images in splits.items():
        mini_datasets.split(voc2010 / name, list(images))
    assert convert.main(['context', str(voc2010), *options]) == 0
    assert (voc2010 / EVALUATED_SPLIT).read_text().split() == list(expected)
    assert {path.stem for path in voc2010.glob('SegmentationClassContext/*')} == set(expected)


def test_a_split_with_the_same_images_is_left_as_it_is(voc2010, capsys):
    mini_datasets.split(voc2010 / EVALUATED_SPLIT, ['b', 'a'])
    assert convert.main(['context', str(voc2010), '--split', str(voc2010 / 'ImageSets/Main/val.txt')]) == 0
    assert (voc2010 / EVALUATED_SPLIT).read_text() == 'b\na\n'
    assert 'now lists' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param(
            'gone',
            r'b\.mat does not exist: get trainval\.tar\.gz from https://cs\.stanford',
            id='gone',
        ),
        pytest.param(
            'float', r'LabelMap of .*b\.mat is float64 and those of PASCAL Context are uint16', id='float'
        ),
        pytest.param('signed', r'LabelMap of .*b\.mat is int16', id='signed'),
        pytest.param('name', r"b\.mat has no LabelMap .* \(KeyError: 'LabelMap'\): get", id='no LabelMap'),
        pytest.param('damaged', r'b\.mat has no LabelMap that can be read \(.*\): get', id='damaged'),
        pytest.param('label', r'b\.mat holds label 460', id='unknown label'),
    ],
)
def test_a_wrong_matlab_file_gets_a_sentence_and_no_split_is_written(voc2010, capsys, change, message):
    match change:
        case 'gone':
            (voc2010 / 'trainval/b.mat').unlink()
        case 'float':
            context_file(voc2010, 'b', np.ones((2, 2)), np.float64)
        case 'signed':
            context_file(voc2010, 'b', np.ones((2, 2)), np.int16)
        case 'name':
            context_file(voc2010, 'b', np.ones((2, 2)), key='Labels')
        case 'damaged':
            (voc2010 / 'trainval/b.mat').write_bytes(b'<html>')
        case 'label':
            context_file(voc2010, 'b', np.full((2, 2), 460))
    assert convert.main(['context', str(voc2010)]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (voc2010 / EVALUATED_SPLIT).exists()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param(None, 'does not exist: give a file with one name of an image a line', id='missing'),
        pytest.param(b'', 'lists no image: give a file with one name of an image a line', id='empty'),
        pytest.param(b'a\nb\na\n', "lists 'a' twice", id='twice'),
        pytest.param('a\n'.encode('utf-16-le'), 'holds null characters, as UTF-16 does', id='UTF-16'),
        pytest.param(b'a -1\nb 1\n', "has the line 'a -1': give a file with one name", id='with a class'),
        pytest.param(b'a.jpg\nb.jpg\n', r"has the line 'a\.jpg': .* without its ending", id='endings'),
        pytest.param(b'\xff\xfea\x00', 'is not UTF-8 text: save it as UTF-8', id='UTF-16'),
        pytest.param(
            b'a\nc\n', r'c\.mat does not exist: get trainval\.tar\.gz', id='an image that is not there'
        ),
    ],
)
def test_a_wrong_split_is_refused(voc2010, capsys, text, message):
    split = voc2010 / 'own.txt'
    if text is not None:
        split.write_bytes(text)
    assert convert.main(['context', str(voc2010), '--split', str(split)]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not list(voc2010.glob('SegmentationClass*'))


def test_a_split_with_a_byte_order_mark_and_crlf_is_read(voc2010):
    (voc2010 / 'own.txt').write_bytes(b'\xef\xbb\xbfb\r\n\r\na\r\n')
    assert convert.main(['context', str(voc2010), '--split', str(voc2010 / 'own.txt')]) == 0
    assert (voc2010 / EVALUATED_SPLIT).read_text() == 'b\na\n'
