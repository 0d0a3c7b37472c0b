"""The preprocessor: MMSeg's numbers, no padding, any sizes; and what is refused."""

import segmentors

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

pytestmark = pytest.mark.mmseg

STATISTICS = dict(mean=[122.8, 116.7, 104.1], std=[68.5, 66.6, 70.3], bgr_to_rgb=True)
OURS = dict(type='CLIPSurgeryDataPreProcessor', **STATISTICS)
STOCK = dict(type='SegDataPreProcessor', **STATISTICS)
# The tower of `word_config` is an arch dict, so it has OpenAI's statistics.
MEAN = [0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255]
STD = [0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255]


def photos(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    """Random images "3 H W", uint8, as MMSeg packs them."""
    random = np.random.default_rng(0)
    return [torch.from_numpy(random.integers(0, 256, (3, *size), np.uint8)) for size in sizes]


def batch(*sizes: tuple[int, int]) -> dict:
    metas = [dict(index=index) for index in range(len(sizes))]
    return dict(inputs=photos(*sizes), data_samples=segmentors.samples(*metas))


def test_pixels_are_those_of_mmsegs_preprocessor():
    data = batch((9, 14), (9, 14))
    ours, stock = (MODELS.build(config)(data, False) for config in (OURS, STOCK))
    torch.testing.assert_close(torch.stack(ours['inputs']), stock['inputs'])
    assert [sample.metainfo for sample in ours['data_samples']] == [dict(index=0), dict(index=1)]


def test_images_of_different_sizes_come_out_as_they_are():
    out = MODELS.build(OURS)(batch((9, 14), (20, 5)), False)
    assert [tuple(image.shape) for image in out['inputs']] == [(3, 9, 14), (3, 20, 5)]


def test_data_without_samples():
    assert MODELS.build(OURS)(dict(inputs=photos((4, 4))))['data_samples'] is None


def test_inputs_are_left_alone():
    data = batch((4, 6))
    before = data['inputs'][0].clone()
    MODELS.build(OURS)(data)
    assert torch.equal(data['inputs'][0], before)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_a_low_precision_model_normalises_in_float32(dtype):
    data = batch((9, 14))
    exact = MODELS.build(OURS)(data)['inputs'][0]
    found = MODELS.build(OURS).to(dtype)(data)['inputs'][0]
    assert found.dtype == torch.float32
    assert torch.equal(found, exact)


def test_floating_point_images():
    (image,) = photos((4, 6))
    preprocessor = MODELS.build(OURS)
    exact = preprocessor(dict(inputs=[image]))['inputs'][0]
    assert torch.equal(preprocessor(dict(inputs=[image.float()]))['inputs'][0], exact)


@pytest.mark.parametrize(
    ('image', 'complaint'),
    [
        (torch.zeros(1, 4, 4, dtype=torch.uint8), r'three channels.*\(1, 4, 4\)'),
        (torch.zeros(4, 4, 4, dtype=torch.uint8), r'three channels.*\(4, 4, 4\)'),
        (torch.zeros(4, 4, dtype=torch.uint8), r'three channels.*\(4, 4\)'),
        (torch.zeros(3, 4, 4, dtype=torch.uint16), '0 to 255, got torch.uint16'),
        (torch.zeros(3, 4, 4, dtype=torch.int32), '0 to 255, got torch.int32'),
    ],
    ids=['grey', 'RGBA', 'no channels', '16 bit', '32 bit'],
)
def test_refused_images(image, complaint):
    with pytest.raises(ValueError, match=complaint):
        MODELS.build(OURS)(dict(inputs=[image]))


@pytest.mark.parametrize('kind', ['CLIPSurgeryDataPreProcessor', 'SegDataPreProcessor'])
@pytest.mark.parametrize(
    ('settings', 'complaint'),
    [
        (
            dict(mean=[123.675, 116.28, 103.53], std=STD, bgr_to_rgb=True),
            r'data_preprocessor\.mean is .*122\.77',
        ),
        (
            dict(mean=MEAN, std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
            r'data_preprocessor\.std is .*68\.50',
        ),
        (dict(mean=MEAN[::-1], std=STD[::-1], bgr_to_rgb=True), r'data_preprocessor\.mean is .*RGB'),
        (dict(mean=[m / 255 for m in MEAN], std=[s / 255 for s in STD], bgr_to_rgb=True), '0 to 255'),
        (dict(mean=MEAN, std=STD), 'bgr_to_rgb=True'),
        (dict(bgr_to_rgb=True), 'does not normalise.*122'),
    ],
    ids=['mean of ImageNet', 'std of ImageNet', 'BGR', 'of [0, 1]', 'channel order', 'none'],
)
def test_pixels_that_are_not_the_towers_are_refused(kind, settings, complaint):
    config = segmentors.word_config() | dict(data_preprocessor=dict(type=kind, **settings))
    with pytest.raises(ValueError, match=complaint):
        MODELS.build(config)


@pytest.mark.parametrize('kind', ['CLIPSurgeryDataPreProcessor', 'SegDataPreProcessor'])
def test_rounded_statistics_pass(kind):
    """Configs often write 122.771."""
    rounded = dict(mean=[round(m, 3) for m in MEAN], std=[round(s, 3) for s in STD], bgr_to_rgb=True)
    MODELS.build(segmentors.word_config() | dict(data_preprocessor=dict(type=kind, **rounded)))
