"""What is found before CLIP is loaded: each mistake in a sentence that names the thing and the remedy."""

import shutil
import threading

import mini_voc
from mmseg_clipsurgery.datasets.mask_check import image_size, labels_of
from mmseg_clipsurgery.datasets.mask_labels import MaskEncoding
from mmseg_clipsurgery.datasets.on_disk import loads_upright
from mmseg_clipsurgery.evaluation.audit import audit
from mmseg_clipsurgery.evaluation.preflight import check, patch_size

import numpy as np
import pytest
from mmengine.config import ConfigDict
from PIL import Image

pytestmark = pytest.mark.mmseg

NAME = mini_voc.NAMES[2]
SMALL = np.zeros((26, 27), np.uint8)  # the size of that image


@pytest.fixture
def voc(tmp_path):
    return mini_voc.make(tmp_path / 'voc')


def test_a_good_run_passes_and_says_so(voc):
    lines = []
    check(mini_voc.config(voc), report=lines.append)
    assert lines[-1].startswith('preflight: 5 images checked')


def test_the_config_is_left_as_it_was(voc):
    config = mini_voc.config(voc)
    before = config.to_dict()
    check(config)
    assert config.to_dict() == before


def test_no_thread_is_left(voc):
    before = threading.active_count()  # of other tests
    check(mini_voc.config(voc))
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        pytest.param({'model__test_cfg__stride': (300, 300)},
                     r'stride \(300, 300\) must lie between 1 and crop_size', id='stride'),
        pytest.param({'model__test_cfg__crop_size': (8, 224), 'model__test_cfg__stride': (8, 8)},
                     r'crop_size \(8, 224\) is smaller than a patch \(16', id='crop'),
        pytest.param({'model__test_cfg__crop_size': None}, 'needs crop_size and stride', id='no crop'),
        pytest.param({'model__test_cfg__mode': 'slices'}, "mode must be .* got 'slices'", id='mode'),
        pytest.param({'model__text_encoder__vocabulary': 'voc20', 'model__test_cfg__prob_thd': None},
                     "vocabulary 'voc20' has 20 classes and PascalVOCDataset has 21", id='class count'),
        pytest.param({'model__text_encoder__vocabulary': 'voc20'},
                     "prob_thd gives pixels to class 0, which is 'aeroplane' here",
                     id='threshold without background'),
        pytest.param({'model__text_encoder__vocabulary': 'voc12'}, "unknown vocabulary name 'voc12'", id='vocabulary'),
        pytest.param({'model__text_encoder__vocabulary': None}, 'no words', id='no vocabulary'),
        pytest.param({'model__text_encoder__templates': 'none'}, "unknown templates name 'none'", id='templates'),
        pytest.param({'model__backbone__surgery': 'knife'}, "unknown surgery 'knife'", id='surgery'),
        pytest.param({'model__backbone__arch': 'ViT-B-61'}, "unknown arch 'ViT-B-61'", id='arch'),
        pytest.param({'test_evaluator__ignore_index': 254, 'test_dataloader__dataset__ignore_index': 253},
                     'ignores label 253 and the evaluator 254', id='ignored labels differ'),
    ],
)  # fmt: skip
def test_bad_settings(voc, changes, message):
    with pytest.raises(ValueError, match=message):
        check(mini_voc.config(voc, **changes))


def test_classes_in_another_order(voc):
    from mmseg.datasets import PascalVOCDataset

    words = list(PascalVOCDataset.METAINFO['classes'])
    words[1:3] = words[2:0:-1]
    with pytest.raises(ValueError, match='in another order'):
        check(mini_voc.config(voc, model__text_encoder__vocabulary=words))


def test_more_classes_than_the_loader_can_tell_apart(voc):
    names = [f'class {index}' for index in range(300)]
    config = mini_voc.config(
        voc,
        model__text_encoder__vocabulary=names,
        model__test_cfg__prob_thd=None,
        test_dataloader__dataset__type='BaseSegDataset',
        test_dataloader__dataset__metainfo=dict(classes=names),
    )
    with pytest.raises(ValueError, match=r'300 classes .* LoadAnnotations keeps 8 bits'):
        check(config)


@pytest.mark.parametrize(
    ('gone', 'message'),
    [
        pytest.param('.', r'data root .*voc of PascalVOCDataset does not exist: .*--data-root', id='root'),
        pytest.param('JPEGImages', r'folder .*JPEGImages \(img_path\) does not exist', id='folder'),
        pytest.param(
            'ImageSets/Segmentation/val.txt', r'split file .*val\.txt does not exist: is ', id='split'
        ),
        pytest.param(
            f'JPEGImages/{NAME}.jpg', f'1 of 5 listed images do not exist: .*{NAME}.jpg;', id='image'
        ),
        pytest.param(
            f'SegmentationClass/{NAME}.png', f'1 of 5 listed masks do not exist: .*{NAME}.png', id='mask'
        ),
    ],
)
def test_missing(voc, gone, message):
    path = voc / gone
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(FileNotFoundError, match=message):
        check(mini_voc.config(voc))


def test_empty_split(voc):
    (voc / 'ImageSets/Segmentation/val.txt').write_text('')
    with pytest.raises(ValueError, match='lists no image'):
        check(mini_voc.config(voc))


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        pytest.param(SMALL + 21, r'holds label 21 \(21 classes are 0\.\.20, ignored 255\)', id='label'),
        pytest.param(SMALL.astype(np.uint16) + 300, 'holds label 300', id='16 bits'),
        pytest.param(np.zeros((27, 26), np.uint8), 'is 27 x 26 and its image 26 x 27', id='size'),
        pytest.param(np.zeros((26, 27, 3), np.uint8), 'has 3 channels', id='colours'),
    ],
)
def test_bad_mask(voc, labels, message):
    mini_voc.write_mask(voc, NAME, labels)
    with pytest.raises(ValueError, match=f'1 of 5 .*{NAME}.png {message}'):
        check(mini_voc.config(voc))


@pytest.mark.parametrize('path', [f'JPEGImages/{NAME}.jpg', f'SegmentationClass/{NAME}.png'])
@pytest.mark.parametrize('cut', [0, 40, -100], ids=['empty', 'header only', 'truncated'])
def test_undecodable(voc, path, cut):
    file = voc / path
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError, match=f'1 of 5 .*{path} cannot be decoded'):
        check(mini_voc.config(voc))


def test_masks_are_not_asked_for_where_nothing_is_evaluated(voc):
    (voc / f'SegmentationClass/{NAME}.png').unlink()
    check(mini_voc.config(voc, test_evaluator__format_only=True))


def test_processes_share_the_files(voc):
    (voc / f'JPEGImages/{mini_voc.NAMES[3]}.jpg').write_bytes(b'no image')
    check(mini_voc.config(voc), rank=0, world=2)
    with pytest.raises(ValueError, match='cannot be decoded'):
        check(mini_voc.config(voc), rank=1, world=2)


@pytest.mark.parametrize(
    ('rules', 'labels', 'illegal'),
    [
        pytest.param(MaskEncoding(3), [0, 2, 255], [], id='plain'),
        pytest.param(MaskEncoding(3), [3, 254], [3, 254], id='beyond'),
        pytest.param(MaskEncoding(3, reduce_zero_label=True), [0, 1, 3, 255], [], id='zero ignored'),
        pytest.param(MaskEncoding(3, reduce_zero_label=True), [4], [4], id='zero ignored, beyond'),
        pytest.param(MaskEncoding(847, 65535), [0, 846, 65535], [], id='16 bits'),
        pytest.param(MaskEncoding(847, 65535), [847, 255], [847], id='16 bits, beyond'),
    ],
)
def test_label_rules(rules, labels, illegal):
    for kind in (np.uint8, np.uint16) if max(labels) < 256 else (np.uint16,):
        assert rules.illegal(labels_of(np.array([labels], kind))) == illegal


def test_a_photo_held_sideways_has_the_size_it_is_loaded_with(voc):
    exif = Image.Exif()
    exif[0x0112] = 6
    mini_voc.write_image(voc, NAME, np.zeros((27, 26, 3), np.uint8), exif=exif)
    assert image_size(str(voc / f'JPEGImages/{NAME}.jpg')) == (26, 27)
    check(mini_voc.config(voc))


def test_a_pipeline_that_ignores_orientation_is_checked_by_what_it_loads(voc):
    exif = Image.Exif()
    exif[0x0112] = 6
    mini_voc.write_image(voc, NAME, np.zeros((26, 27, 3), np.uint8), exif=exif)
    config = mini_voc.config(voc)
    with pytest.raises(
        ValueError, match=r"EXIF orientation that the pipeline follows.*'color_ignore_orientation'"
    ):
        check(config)
    with pytest.raises(ValueError, match='EXIF orientation that the pipeline follows'):
        audit(config, subset=True)
    config.test_dataloader.dataset.pipeline[0].color_type = 'color_ignore_orientation'
    check(config)
    audit(config, subset=True)


@pytest.mark.parametrize(('orientation', 'told'), [(1, 0), (2, 1), (3, 1), (4, 1), (9, 0)])
def test_a_turn_that_sizes_do_not_show_is_told(voc, orientation, told):
    exif = Image.Exif()
    exif[0x0112] = orientation
    mini_voc.write_image(voc, NAME, np.zeros((26, 27, 3), np.uint8), exif=exif)
    lines = []
    check(mini_voc.config(voc), report=lines.append)
    assert (
        sum('1 of 5 images are turned or mirrored' in line and f'{NAME}.jpg' in line for line in lines)
        == told
    )


@pytest.mark.parametrize(
    ('step', 'upright'),
    [
        (dict(), True),
        (dict(color_type='unchanged'), False),
        (dict(color_type='color_ignore_orientation'), False),
        (dict(imdecode_backend='pillow'), True),
        (dict(imdecode_backend='turbojpeg'), False),
        (dict(imdecode_backend='tifffile'), False),
    ],
)
def test_which_loaders_follow_exif(step, upright):
    assert loads_upright([dict(type='LoadImageFromFile', **step), dict(type='PackSegInputs')]) is upright


def test_a_config_without_a_default_scope(voc):
    config = mini_voc.config(voc, default_scope=None)
    check(config)
    audit(config, subset=True)


@pytest.mark.parametrize(
    ('arch', 'expected'),
    [
        ('ViT-L-14', 14),
        ('RN50', 32),
        ('ViT-SO400M-14-SigLIP', 14),
        ('MobileCLIP-B', 16),
        ('hf-hub:a/b', 1),
        (ConfigDict(embed_dim=8, vision_cfg=dict(patch_size=8), text_cfg={}), 8),
    ],
    ids=str,
)
def test_patch_size(arch, expected):
    assert patch_size(arch) == expected
