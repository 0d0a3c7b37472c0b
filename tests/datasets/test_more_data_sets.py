"""Data sets of explanation and recognition: published files are converted, checked and loaded; each mistake is told."""

import json
import re

import mini_datasets
from mmseg_clipsurgery.cli import check_dataset, convert
from mmseg_clipsurgery.datasets.converters.imagenet_s import MERGED, wordnet_ids
from mmseg_clipsurgery.datasets.mask_encodings import KNOWN
from mmseg_clipsurgery.protocols.settings import settings, table
from mmseg_clipsurgery.resources import config_folder
from mmseg_clipsurgery.vocabulary import class_names

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

pytestmark = pytest.mark.mmseg


def converted(name: str, root, *options: str) -> int:
    """The exit code of `convert` on a miniature."""
    return convert.main([*mini_datasets.CONVERT[name], str(root), *options])


def config_of(name: str) -> str:
    folder = 'recognise' if name == 'nus_wide' else 'explain'
    return str(config_folder() / folder / f'clipsurgery_{name}.py')


def checked(name: str, root, *options: str) -> int:
    """The exit code of `check-dataset` on a miniature."""
    return check_dataset.main([name, '--data-root', str(root), *options])


def samples(name: str, root) -> list:
    """What the config's pipeline packs of each image."""
    cfg = Config.fromfile(config_of(name))
    cfg.test_dataloader.dataset.data_root = str(root)
    return [item['data_samples'] for item in DATASETS.build(cfg.test_dataloader.dataset)]


LIKE_ANOTHER = ('imagenet_s300', 'imagenet_s919')  # but for the number of classes


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name in LIKE_ANOTHER else name
        for name in mini_datasets.PUBLISHED
    ]
)
def name(request) -> str:
    return request.param


@pytest.fixture
def root(name, tmp_path):
    return mini_datasets.make(name, tmp_path)


def test_every_data_set_of_the_table_has_a_miniature_and_settings(name):
    assert set(mini_datasets.PUBLISHED) == set(mini_datasets.CONVERT) == set(table()['more_data_sets'])
    found = settings('clip_surgery', name)
    assert found['test_dataloader']['dataset']['pipeline'] == found['test_pipeline']


def test_converted_files_are_right_but_for_their_count(name, root, capsys):
    assert converted(name, root) == 0
    assert checked(name, root, '--subset') == 0
    assert re.search(r'2 images( and 2 masks)? are right', capsys.readouterr().out)
    counted = name != 'openimages_points'  # whose count no source states alike
    assert checked(name, root) == int(counted)
    assert ('there are 2 images and' in capsys.readouterr().err) is counted


def test_what_is_not_converted_is_told(name, root, capsys):
    assert checked(name, root, '--subset') == 1
    assert re.search(r'does not exist', capsys.readouterr().err)


def test_an_empty_folder_is_no_data_set(name, tmp_path, capsys):
    assert converted(name, tmp_path) == 1
    assert re.search(r'(give the folder of|get it from|get annotations_)', capsys.readouterr().err)


@pytest.mark.parametrize(('classes', 'images'), [(50, 752), (300, 4097), (919, 12419)])
def test_labels_of_imagenet_s(tmp_path, classes, images):
    name = f'imagenet_s{classes}'
    root = mini_datasets.make(name, tmp_path / f'ImageNetS{classes}')
    assert convert.main(['imagenet-s', str(root)]) == 0  # the folder's name says the number of classes
    masks = sorted(root.glob('validation-labels/*/*.png'))
    found = [np.asarray(Image.open(mask)) for mask in masks]
    assert [sorted(set(mask.ravel().tolist())) for mask in found] == [[0, 1, 65535], [0, classes, 65535]]
    assert all(mask.dtype == np.uint16 for mask in found)
    truths = [sample.gt_sem_seg.data[0].unique().tolist() for sample in samples(name, root)]
    assert truths == [[0, 1, 65535], [0, classes, 65535]]
    assert KNOWN[f'ImageNetS{classes}Dataset'].images == (images,)


def test_ids_of_imagenet_s_are_sorted_and_go_with_the_names():
    for classes in (50, 300, 919):
        ids, names = wordnet_ids(classes), class_names(f'imagenet_s{classes}')
        assert (ids, len(ids), names[0], len(names)) == (sorted(set(ids)), classes, 'background', classes + 1)
    name_of = dict(zip(wordnet_ids(919), class_names('imagenet_s919')[1:], strict=True))
    for classes in (50, 300):
        of = dict(zip(wordnet_ids(classes), class_names(f'imagenet_s{classes}')[1:], strict=True))
        assert of.items() <= name_of.items()
    assert (name_of['n01440764'], name_of['n02012849'], name_of['n15075141']) == (
        *('tench', 'crane bird', 'toilet tissue'),
    )
    assert not set(MERGED) & set(name_of)
    assert set(MERGED.values()) <= set(name_of)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param('number', r'holds label 51, which its data set does not have', id='class number'),
        pytest.param('grey', r'val_00000001\.png has 1 channels and a mask of ImageNet-S has 3', id='grey'),
        pytest.param('size', r'val_00000001\.png is \(9, 8\) and its image \(48, 36\)', id='size'),
        pytest.param('class', r'n00000000 is no class of ImageNet-S-50: give', id='unknown class'),
        pytest.param('image', r'val_00000001\.JPEG does not exist: get its image from ImageNet', id='image'),
    ],
)
def test_a_wrong_file_of_imagenet_s_is_told(tmp_path, capsys, change, message):
    root = mini_datasets.make('imagenet_s50', tmp_path)
    mask, image = sorted(root.glob('*/*/*_00000001.*'), reverse=True)
    assert (mask.suffix, image.suffix) == ('.png', '.JPEG')
    match change:
        case 'number':
            mini_datasets.colours(mask, mini_datasets.labels(mini_datasets.SIZES[0], 0, 51))
        case 'grey':
            mini_datasets.mask(mask, np.ones(mini_datasets.SIZES[0], np.uint8))
        case 'size':
            mini_datasets.colours(mask, mini_datasets.labels((8, 9), 0, 1))
        case 'class':
            mask.parent.rename(mask.parent.with_name('n00000000'))
        case 'image':
            image.unlink()
    assert converted('imagenet_s50', root) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_folder_of_another_name_needs_its_number_of_classes(tmp_path, capsys):
    assert convert.main(['imagenet-s', str(tmp_path)]) == 1
    assert 'is none of ImageNetS50, ImageNetS300, ImageNetS919: give one of them' in capsys.readouterr().err


def test_things_lie_in_each_other_the_smallest_on_top(tmp_path):
    root = mini_datasets.make('coco_things', tmp_path)
    assert converted('coco_things', root) == 0
    first, second = (np.asarray(Image.open(mask)) for mask in sorted(root.glob('things/val2017/*.png')))
    assert (first.shape, second.shape) == mini_datasets.SIZES
    assert (first[10, 10], first[6, 6], first[30, 0], first[30, 30]) == (80, 1, 1, 0)
    assert not second.any()
    assert (first == 80).sum() == 4 * 4


def changed(root, **content) -> None:
    """COCO's file with other content; a function takes what is there."""
    path = root / 'annotations/instances_val2017.json'
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **{key: change(found[key]) for key, change in content.items()}}))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param(
            dict(categories=lambda found: found[1:]), r'has 79 categories that are not the 80', id='classes'
        ),
        pytest.param(
            dict(annotations=lambda found: [dict(found[0], category_id=91)]),
            r'image 000000000139 of .*json holds category 91, which COCO does not have',
            id='category',
        ),
        pytest.param(
            dict(annotations=lambda found: [dict(found[0], segmentation=[])]),
            r'image 000000000139 of .* is not a readable annotation of COCO',
            id='no outline',
        ),
        pytest.param(
            dict(annotations=lambda found: [dict(found[0], segmentation=dict(counts=[0, 4], size=[2, 2]))]),
            r'image 000000000139 of .* is \(36, 48\) and an instance of it \(2, 2\)',
            id='size',
        ),
        pytest.param(
            dict(images=lambda found: [{}]), r"is not a readable file of COCO's instances", id='form'
        ),
    ],
)
def test_a_wrong_file_of_coco_is_told(tmp_path, capsys, content, message):
    root = mini_datasets.make('coco_things', tmp_path)
    changed(root, **content)
    assert converted('coco_things', root) == 1
    assert re.search(message, capsys.readouterr().err)


def test_points_are_pixels_of_the_photo(tmp_path, capsys):
    root = mini_datasets.make('openimages_points', tmp_path)
    assert converted('openimages_points', root) == 0
    assert '3 classes' in capsys.readouterr().out
    (height, width), (lower, right) = mini_datasets.SIZES
    first, second = (sample.gt_points for sample in samples('openimages_points', root))
    assert {k: [part.tolist() for part in parts] for k, parts in first.items()} == {
        0: [[[height // 4, width // 2]], [[height - 1, 0]]]
    }
    assert {k: [len(part) for part in parts] for k, parts in second.items()} == {1: [1, 0], 2: [2, 0]}
    assert second[1][0].tolist() == [[0, right - 1]]
    assert (second[2][0][0].tolist(), second[1][1].shape) == ([0.3 * lower, round(0.3 * right)], (0, 2))
    classes = class_names(root / 'points_validation_classes.json')
    assert classes == ('Tree', 'Crane (/m/0crane)', 'crane (/m/1crane)')


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        pytest.param('EstimatedYesNo', 'Answer', 'has no column EstimatedYesNo', id='column'),
        pytest.param(
            ',unsure,', ',maybe,', r"line 4 of .* says 'maybe' of the class '/m/07j7r'", id='answer'
        ),
        pytest.param('0.5,0.25', '1.5,0.25', r"line 2 of .* has the coordinate '1.5'", id='coordinate'),
        pytest.param('/m/07j7r', '/m/none', r'the class /m/none has no name in oidv7', id='class'),
        pytest.param(',yes,', ',no,', r'no point of .* says yes', id='no yes'),
    ],
)
def test_a_wrong_file_of_points_is_told(tmp_path, capsys, old, new, message):
    root = mini_datasets.make('openimages_points', tmp_path)
    path = root / 'oidv7-val-annotations-point-labels.csv'
    path.write_text(path.read_text().replace(old, new))
    assert converted('openimages_points', root) == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    'line',
    [
        pytest.param('{}', id='nothing'),
        pytest.param('x', id='no JSON'),
        pytest.param('{"image": "a.jpg", "points": {}}', id='no class'),
        pytest.param('{"image": "a.jpg", "points": {"3": [[[0, 0]], []]}}', id='unknown class'),
        pytest.param('{"image": "a.jpg", "points": {"0": [[[0, 0]]]}}', id='no list of those that say no'),
    ],
)
def test_a_damaged_list_of_points_is_told(tmp_path, capsys, line):
    root = mini_datasets.make('openimages_points', tmp_path)
    converted('openimages_points', root)
    (root / 'points_validation.jsonl').write_text(line)
    assert checked('openimages_points', root) == 1
    assert re.search(r'line 1 of .* is no image with points of 3 classes: make it', capsys.readouterr().err)


def test_concepts_of_nus_wide(tmp_path):
    root = mini_datasets.make('nus_wide', tmp_path)
    assert converted('nus_wide', root) == 0
    names = class_names('nus_wide')
    shown = [[names[k] for k in sample.gt_classes] for sample in samples('nus_wide', root)]
    assert shown == [['clouds', 'sky'], []]
    assert (root / 'labels_test.txt').read_text().splitlines()[0] == 'actor/0001_2124494179.jpg\tclouds,sky'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param('gone', r'1 of 2 images do not exist, such as .*actor/0001_\d+\.jpg: get', id='image'),
        pytest.param('lines', r'Labels_sky_Test\.txt has 1 labels and .* 2 images', id='count'),
        pytest.param('label', r"Labels_sky_Test\.txt holds the label '2', which is neither", id='label'),
        pytest.param('file', r'has no Groundtruth/TrainTestLabels/Labels_sky_Test\.txt or', id='file'),
        pytest.param('concepts', r"and the 81 concepts of NUS-WIDE differ in 'airport'", id='concepts'),
        pytest.param('empty', r'TestImagelist\.txt lists no image', id='no image'),
    ],
)
def test_a_wrong_file_of_nus_wide_is_told(tmp_path, capsys, change, message):
    root = mini_datasets.make('nus_wide', tmp_path)
    sky = root / 'Groundtruth/TrainTestLabels/Labels_sky_Test.txt'
    match change:
        case 'gone':
            (root / 'Flickr/actor/0001_2124494179.jpg').unlink()
        case 'lines':
            sky.write_text('1\n')
        case 'label':
            sky.write_text('2\n0\n')
        case 'file':
            sky.unlink()
        case 'concepts':
            (root / 'Concepts81.txt').write_text('\n'.join(class_names('nus_wide')[1:]))
        case 'empty':
            (root / 'ImageList/TestImagelist.txt').write_text('\n')
    assert converted('nus_wide', root) == 1
    assert re.search(message, capsys.readouterr().err)


def test_images_that_are_gone_are_left_out_on_request(tmp_path, capsys):
    root = mini_datasets.make('nus_wide', tmp_path)
    (root / 'Flickr/actor/0001_2124494179.jpg').unlink()
    assert converted('nus_wide', root, '--present') == 0
    assert '1 images do not exist and are left out' in capsys.readouterr().out
    assert (root / 'labels_test.txt').read_text() == 'zoo/0002_174174086.jpg\t\n'


@pytest.mark.parametrize(
    ('line', 'message'), [('a.jpg', 'has no tab'), ('a.jpg\tsky,cat,sea', "names 'sea', which is no concept")]
)
def test_a_damaged_list_of_concepts_is_told(tmp_path, capsys, line, message):
    root = mini_datasets.make('nus_wide', tmp_path)
    (root / 'labels_test.txt').write_text(line)
    assert checked('nus_wide', root) == 1
    assert re.search(f'line 1 of .* {message}.*: make it', capsys.readouterr().err)
