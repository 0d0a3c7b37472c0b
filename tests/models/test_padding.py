"""Padding is taken off, whoever added it and wherever it stands, or refused."""

import segmentors
from mmseg_clipsurgery.models.padding import content_size, unpadded

import numpy as np
import pytest
import torch
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import MODELS, TRANSFORMS

pytestmark = pytest.mark.mmseg


@pytest.mark.parametrize(
    'meta',
    [
        dict(img_padding_size=(1, 2, 3, 4)),
        dict(padding_size=[1, 2, 3, 4]),
        dict(img_padding_size=(1, 2, 3, 4), padding_size=(5, 5, 5, 5)),
    ],
    ids=['img_padding_size', 'padding_size', 'both'],
)
def test_padding_of_a_preprocessor_is_cut(meta):
    """Left, right, top, bottom, as MMSeg writes them."""
    (image,) = segmentors.images((12, 13))
    (found,) = unpadded(image[None], [meta])
    assert torch.equal(found, image[:, 3:8, 1:11])


def through(*steps: dict, size: tuple[int, int] = (37, 53)) -> dict:
    """What MMSeg's own transforms make of a photo: its packed input and sample."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    results = dict(img=pixels, img_shape=size, ori_shape=size)
    for step in steps:
        results = TRANSFORMS.build(dict(step)).transform(results)
    return PackSegInputs().transform(results)


def predictions(packed: dict, preprocessor: dict | None = None) -> torch.Tensor:
    config = segmentors.word_config()
    if preprocessor:
        mean, std = [122.7709383, 116.7460125, 104.09373615], [68.5005327, 66.6321579, 70.32316304]
        config['data_preprocessor'] = dict(mean=mean, std=std, bgr_to_rgb=True, **preprocessor)
    model = MODELS.build(config)
    (sample,) = model.test_step(dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']]))
    return sample.pred_sem_seg.data


RESIZE = dict(type='Resize', scale=(64, 48), keep_ratio=True)
HALF = dict(type='Resize', scale_factor=0.5, keep_ratio=False)
SHORT = dict(type='ResizeShortestEdge', scale=40, max_size=200)
PADS = {
    'size': dict(type='Pad', size=(96, 80)),
    'divisor': dict(type='Pad', size_divisor=32),
    'square': dict(type='Pad', pad_to_square=True),
    'grey': dict(type='Pad', size=(96, 96), pad_val=dict(img=114, seg=255)),
    'mirrored': dict(type='Pad', size=(80, 80), padding_mode='reflect'),
}


@pytest.mark.slow
@pytest.mark.parametrize('before', [[], [RESIZE], [HALF], [SHORT]], ids=['alone', 'kept', 'half', 'shortest'])
@pytest.mark.parametrize('pad', PADS.values(), ids=PADS.keys())
def test_predictions_with_pad_equal_those_without(pad, before):
    plain, padded = through(*before), through(*before, pad)
    assert padded['inputs'].shape != plain['inputs'].shape
    assert torch.equal(predictions(padded), predictions(plain))


@pytest.mark.parametrize(
    'settings', [dict(test_cfg=dict(size=(96, 96))), dict(test_cfg=dict(size_divisor=32))], ids=str
)
def test_predictions_with_a_padding_preprocessor_equal_those_without(settings):
    packed = through(RESIZE)
    expected = predictions(packed)
    assert torch.equal(predictions(packed, dict(type='SegDataPreProcessor', **settings)), expected)


def test_an_image_resized_to_a_multiple_is_whole():
    packed = through(dict(type='ResizeToMultiple', size_divisor=32))
    (image,) = unpadded([packed['inputs']], [packed['data_samples'].metainfo])
    assert image.shape == (3, 64, 64)


REFUSED = {
    'resized afterwards': [PADS['square'], RESIZE],
    'cropped': [dict(type='CenterCrop', crop_size=(20, 20))],
    'flipped': [PADS['size'], dict(type='RandomFlip', prob=1.0, direction='horizontal')],
}


@pytest.mark.parametrize('steps', REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_told_from_the_image_is_refused(steps):
    packed = through(*steps)
    with pytest.raises(ValueError, match=r'pad_shape is .*let Pad follow Resize'):
        unpadded([packed['inputs']], [packed['data_samples'].metainfo])


@pytest.mark.parametrize(
    'meta',
    [
        dict(pad_shape=(40, 40, 3), img_shape=(40, 40), ori_shape=(50, 30)),
        dict(pad_shape=(30, 60, 3), img_shape=(40, 40), ori_shape=(20, 20)),
        dict(pad_shape=(40, 40), img_shape=(40, 40), ori_shape=(20, 20), img_padding_size=(0, 3, 0, 0)),
    ],
    ids=['larger than padded', 'another size', 'two paddings'],
)
def test_contradictory_notes_are_refused(meta):
    with pytest.raises(ValueError, match='40 x 40'):
        content_size((40, 40), meta, 'img_padding_size' in meta)
