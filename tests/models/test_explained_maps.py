"""Explainers in the test loop: class maps of whole images in place of similarities, many in one pass, mistakes."""

import golden
import segmentors
import tiny
from mmseg_clipsurgery.evaluation.variants import combined, share_a_pass
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.inference.settings import InferenceSettings

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import MODELS

pytestmark = pytest.mark.mmseg
NAMES = ['legrad', 'grad_eclip', 'attention', 'rclip']


def explained(name: str, images: list[torch.Tensor], metas: list[dict] | None = None):
    """(the segmentor, its predictions) of class maps by an explainer."""
    model = segmentors.word_segmentor(maps=True, explainer=name)
    samples = None if metas is None else segmentors.samples(*metas)
    return model, model.predict(images, samples)


def class_maps(model, name: str, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The explainer's maps of one image, the maximum over each class's words, "k H W" at a size."""
    queries = model.text_encoder()
    maps = EXPLAINERS[name](model.backbone, image[None], queries.embeddings)
    resized = F.interpolate(F.interpolate(maps, image.shape[1:], mode='bilinear'), size, mode='bilinear')[0]
    classes = [resized[queries.class_of == k].amax(dim=0) for k in range(model.num_classes)]
    return torch.stack(classes).detach()


@pytest.mark.parametrize('name', NAMES)
def test_class_maps_are_the_explainers(name):
    images = segmentors.images((12, 16), (20, 12))
    metas = [dict(ori_shape=(12, 16)), dict(ori_shape=(31, 25))]
    model, predictions = explained(name, images, metas)
    for image, meta, found in zip(images, metas, predictions, strict=True):
        golden.assert_close(found.class_maps.data, class_maps(model, name, image, meta['ori_shape']), 1e-4)
    assert all(value.grad is None for value in model.parameters())


def test_labels_and_scores_stay_as_they_are():
    images = segmentors.images((12, 16))
    _, (found,) = explained('legrad', images)
    (plain,) = segmentors.word_segmentor(maps=True).predict(images)
    assert torch.equal(found.pred_sem_seg.data, plain.pred_sem_seg.data)
    assert not torch.equal(found.class_maps.data, plain.class_maps.data)


def test_a_flip_is_undone():
    (image,) = segmentors.images((12, 16))
    meta = dict(ori_shape=(12, 16))
    model, (found,) = explained(
        'grad_eclip', [image.flip(2)], [dict(meta, flip=True, flip_direction='horizontal')]
    )
    golden.assert_close(
        found.class_maps.data, class_maps(model, 'grad_eclip', image.flip(2), (12, 16)).flip(2), 1e-4
    )


@pytest.mark.slow
def test_explainers_as_variants_equal_them_alone():
    images, metas = (
        segmentors.images((12, 16), (20, 12)),
        [dict(ori_shape=(12, 16)), dict(ori_shape=(20, 12))],
    )
    variants = {name: dict(surgery='clip', test_cfg=dict(explainer=name)) for name in NAMES}
    variants['none'] = dict(surgery='clip')
    config = dict(segmentors.word_config(maps=True), variants=variants)
    predictions = MODELS.build(config).predict(images, segmentors.samples(*metas))
    found = {(sample.variant, tuple(sample.ori_shape)): sample.class_maps.data for sample in predictions}
    for name in NAMES:
        for alone in explained(name, images, metas)[1]:
            golden.assert_close(found[name, tuple(alone.ori_shape)], alone.class_maps.data)
    assert len(found) == 2 * len(variants)


def test_configs_of_explainers_share_a_pass():
    cfgs = {
        name: Config(dict(model=segmentors.word_config(maps=True, explainer=name)))
        for name in ('legrad', 'attention')
    }
    assert len({share_a_pass(cfg) for cfg in cfgs.values()}) == 1
    model = combined(cfgs).model
    assert model.variants['legrad']['test_cfg'] == dict(explainer='legrad')
    assert 'explainer' not in model.test_cfg


SETTINGS = {
    'unknown': (dict(maps=True, explainer='legrod'), "unknown explainer 'legrod'"),
    'no maps': (dict(explainer='legrad'), 'fills class_maps; set maps=True'),
    'windows': (
        dict(maps=True, explainer='clip', mode='slide', crop_size=8, stride=4),
        "explains whole images .* mode='slide'",
    ),
    'half precision': (dict(maps=True, explainer='legrad', precision='bf16'), "gradients, in fp32 .*'bf16'"),
    'compiled': (dict(maps=True, explainer='grad_cam', compiled=True), 'not compiled; .* compiled=True'),
}


@pytest.mark.parametrize(('settings', 'message'), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ValueError, match=message):
        InferenceSettings.read(settings, 4)


def test_attention_may_be_half_precision():
    assert InferenceSettings.read(dict(maps=True, explainer='attention', precision='bf16'), 4)


@pytest.mark.parametrize(
    ('tower', 'explainer', 'message'),
    [
        (dict(type='CLIPSurgeryResNet', arch=tiny.RESNET, surgery='clip'), 'legrad', 'is a ResNet'),
        (dict(type='CLIPSurgeryViT', arch=segmentors.ARCH, surgery='clip'), 'clip_surgery', 'last 6 blocks'),
        (dict(type='CLIPSurgeryViT', arch=segmentors.ARCH, surgery='clip'), 'proxyclip', 'second tower'),
    ],
    ids=['a ResNet', 'a surgery that does not fit', 'no second tower'],
)
def test_towers_that_do_not_fit(tower, explainer, message):
    config = segmentors.word_config(maps=True, explainer=explainer)
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(config, backbone=tower))


def test_gradients_under_a_loop_with_autocast_are_refused():
    model = segmentors.word_segmentor(maps=True, explainer='legrad')
    with torch.autocast('cpu', torch.bfloat16), pytest.raises(ValueError, match='autocast is on'):
        model.predict(segmentors.images((12, 16)))
