"""The segmentor inside MMSeg: exactness against a plain loop, batches, views, precision, state, and what it refuses."""

import copy
import re
from collections import OrderedDict
from collections.abc import Iterator

import segmentors
import tiny
from cases import slow_but
from golden_weights import text as golden_text
from mmseg_clipsurgery.refine import pamr
from mmseg_clipsurgery.structures import ImageTokens

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from torch import Tensor

pytestmark = pytest.mark.mmseg

QUERIES = golden_text(7, 64, 11)
CLASSES = ['background', 'cat', ['dog', 'puppy'], 'hen', 'owl', 'fox']
CLASS_OF = [0, 1, 2, 2, 3, 4, 5]
SLIDE = dict(mode='slide', crop_size=(64, 80), stride=(32, 48))


def golden_model(**settings):
    return segmentors.golden_segmentor(QUERIES, CLASSES, **{'scores': True, **settings})


def one(model, image: Tensor, **meta) -> tuple[Tensor, Tensor]:
    """Labels "H W" and class scores "k H W" of one image."""
    (result,) = model.predict([image], segmentors.samples(meta))
    return result.pred_sem_seg.data[0], result.seg_logits.data


# A plain loop.


def plain_grid(tower, window: Tensor) -> Tensor:
    """Cosines "q h w" of one window "3 h w" on the patch grid."""
    patches = F.normalize(tower(window[None]).patch_tokens[0], dim=0)
    return torch.einsum('qc,chw->qhw', F.normalize(QUERIES, dim=1), patches)


def plain_logits(
    tower, image: Tensor, crop: tuple[int, int], stride: tuple[int, int], pad: int = 1
) -> Tensor:
    """Averaged logits "q H W", window by window."""
    height, width = image.shape[1:]
    total, count = torch.zeros(len(QUERIES), height, width), torch.zeros(height, width)
    for y in range(max(-(-(height - crop[0]) // stride[0]), 0) + 1):
        for x in range(max(-(-(width - crop[1]) // stride[1]), 0) + 1):
            bottom, right = min(y * stride[0] + crop[0], height), min(x * stride[1] + crop[1], width)
            top, left = max(bottom - crop[0], 0), max(right - crop[1], 0)
            window = image[:, top:bottom, left:right]
            y_pad, x_pad = (-side % pad for side in window.shape[1:])
            window = F.pad(window, (x_pad // 2, x_pad - x_pad // 2, y_pad // 2, y_pad - y_pad // 2))
            logits = F.interpolate(plain_grid(tower, window)[None], window.shape[1:], mode='bilinear')[0]
            logits = logits[:, y_pad // 2 :, x_pad // 2 :][:, : bottom - top, : right - left]
            total[:, top:bottom, left:right] += logits
            count[top:bottom, left:right] += 1
    return total / count


def plain_scores(logits: Tensor, size: tuple[int, int], scale: float = 40.0) -> Tensor:
    """Class scores "k H W" at another size."""
    resized = F.interpolate(logits[None], size, mode='bilinear')[0]
    probabilities = (scale * resized).softmax(dim=0)
    return torch.stack(
        [
            torch.stack([p for p, owner in zip(probabilities, CLASS_OF, strict=True) if owner == k]).amax(
                dim=0
            )
            for k in range(len(CLASSES))
        ]
    )


@torch.no_grad()
@pytest.mark.parametrize('surgery', slow_but(['clip_surgery'], ['clip_surgery', 'sclip']))
@pytest.mark.parametrize(
    ('size', 'original', 'settings'),
    [
        ((64, 64), (64, 64), dict()),
        ((70, 101), (91, 130), dict()),
        ((96, 144), (96, 144), SLIDE),
        ((101, 150), (75, 200), SLIDE),
        ((50, 150), (50, 150), SLIDE),
        ((100, 100), (100, 100), dict(mode='slide', crop_size=60, stride=33)),
        ((100, 75), (77, 60), dict(mode='slide', crop_size=60, stride=33, pad_windows=True)),
    ],
    ids=['whole', 'whole, resized', 'slide', 'slide, resized', 'crop too high', 'remainder', 'padded'],
)
def test_predictions_equal_a_plain_loop(surgery, size, original, settings):
    model = golden_model(surgery=surgery, **settings)
    (image,) = segmentors.images(size)
    crop, stride = ((64, 80), (32, 48)) if settings == SLIDE else ((60, 60), (33, 33))
    crop = crop if settings else size
    logits = plain_logits(model.backbone, image, crop, stride, 16 if 'pad_windows' in settings else 1)
    expected = plain_scores(logits, original)
    labels, scores = one(model, image, ori_shape=original)
    torch.testing.assert_close(scores, expected, rtol=0, atol=2e-5)
    segmentors.assert_same_labels(labels, expected.argmax(dim=0), expected)
    torch.testing.assert_close(model([image])[0], logits, rtol=0, atol=1e-5)


def test_a_resnet_is_a_backbone_too():
    """Slide equals the plain loop, with its stride of 32 for a patch."""
    config = dict(
        type='CLIPSurgerySegmentor',
        backbone=dict(
            type='CLIPSurgeryResNet', arch=tiny.RESNET, pretrained=str(tiny.weights_file(tiny.RESNET))
        ),
        text_encoder=dict(type=segmentors.FixedTexts, embeddings=QUERIES, words=CLASSES),
        test_cfg=dict(mode='slide', crop_size=(64, 96), stride=(40, 50), scores=True),
    )
    model = MODELS.build(config)
    (image,) = segmentors.images((100, 150))
    with torch.no_grad():
        expected = plain_scores(plain_logits(model.backbone, image, (64, 96), (40, 50)), (100, 150))
    labels, scores = one(model, image)
    torch.testing.assert_close(scores, expected, rtol=0, atol=2e-5)
    segmentors.assert_same_labels(labels, expected.argmax(dim=0), expected)
    config['test_cfg'] = dict(mode='slide', crop_size=(31, 64), stride=20)
    with pytest.raises(ValueError, match=r'crop_size \(31, 64\) is smaller than a patch \(32 pixels\)'):
        MODELS.build(config)


@torch.no_grad()
def test_pamr_refines_logits_at_the_original_size():
    settings = dict(iterations=3, dilations=(1, 4))
    model = golden_model(pamr=settings, **SLIDE)
    (image,) = segmentors.images((64, 96))
    size = (50, 70)
    logits = F.interpolate(
        plain_logits(model.backbone, image, (64, 80), (32, 48))[None], size, mode='bilinear'
    )
    guide = F.interpolate(image[None], size, mode='bilinear')
    expected = plain_scores(pamr(guide, logits, **settings)[0], size)
    labels, scores = one(model, image, ori_shape=size)
    torch.testing.assert_close(scores, expected, rtol=0, atol=2e-5)
    segmentors.assert_same_labels(labels, expected.argmax(dim=0), expected)


# Batches.

SIZES = ((64, 64), (101, 70), (33, 200), (64, 64))


def assert_equal_results(found: list, expected: list) -> None:
    for one_found, one_expected in zip(found, expected, strict=True):
        scores = one_expected.seg_logits.data
        torch.testing.assert_close(one_found.seg_logits.data, scores, rtol=0, atol=1e-5)
        segmentors.assert_same_labels(*segmentors.labels([one_found, one_expected]), scores)


@pytest.mark.slow
@pytest.mark.parametrize('settings', [dict(), SLIDE], ids=['whole', 'slide'])
@pytest.mark.parametrize('similarity', ['cosine', 'released'])
def test_a_batch_of_any_sizes_equals_its_images(settings, similarity):
    model = golden_model(head=dict(similarity=similarity), **settings)
    images = segmentors.images(*SIZES)
    singles = [model.predict([image])[0] for image in images]
    assert_equal_results(model.predict(images), singles)
    assert_equal_results(model.predict(images[::-1])[::-1], singles)


def test_a_tensor_equals_a_list():
    model = golden_model()
    images = segmentors.images((64, 96), (64, 96))
    assert_equal_results(model.predict(torch.stack(images)), model.predict(images))


@pytest.mark.slow
@pytest.mark.parametrize('window_batch', [3, 64])
def test_the_size_of_window_batches_changes_nothing(window_batch):
    images = segmentors.images(*SIZES)
    one_by_one = golden_model(window_batch=1, **SLIDE).predict(images)
    assert_equal_results(golden_model(window_batch=window_batch, **SLIDE).predict(images), one_by_one)


def test_nothing_is_kept_from_one_image_to_the_next():
    model = golden_model()
    small, large = segmentors.images((64, 64), (96, 160))
    first = one(model, small)[1]
    one(model, large)
    assert torch.equal(one(model, small)[1], first)


def test_inputs_are_left_alone():
    model = golden_model(pamr=dict(iterations=1, dilations=(1,)), **SLIDE)
    (image,) = segmentors.images((64, 96))
    before = image.clone()
    one(model, image, flip=True, flip_direction='horizontal')
    assert torch.equal(image, before)


# What was done to an image before it came.


@pytest.mark.parametrize(
    ('direction', 'dims'), [('horizontal', [2]), ('vertical', [1]), ('diagonal', [1, 2])]
)
@pytest.mark.parametrize(
    'settings', [dict(), dict(pamr=dict(iterations=2, dilations=(1,)))], ids=['plain', 'pamr']
)
def test_flips_are_undone(direction, dims, settings):
    model = golden_model(**settings)
    (image,) = segmentors.images((64, 96))
    as_it_came = one(model, image)[1]
    labels, undone = one(model, image, flip=True, flip_direction=direction)
    torch.testing.assert_close(undone, as_it_came.flip(dims), rtol=0, atol=1e-5)
    segmentors.assert_same_labels(labels, as_it_came.argmax(dim=0).flip([dim - 1 for dim in dims]), undone)


def test_a_flip_that_was_not_done_changes_nothing():
    model = golden_model()
    (image,) = segmentors.images((64, 96))
    assert torch.equal(one(model, image, flip=False, flip_direction=None)[1], one(model, image)[1])


@pytest.mark.parametrize(
    'ori_shape', [(40, 90), (40, 90, 3), [40, 90]], ids=['pair', 'with channels', 'list']
)
def test_labels_have_the_original_size(ori_shape):
    labels, scores = one(golden_model(), segmentors.images((64, 96))[0], ori_shape=ori_shape)
    assert labels.shape == (40, 90)
    assert scores.shape == (6, 40, 90)


def stock_preprocessor(**settings) -> dict:
    ours = segmentors.word_segmentor().data_preprocessor
    mean, std = (values.flatten().tolist() for values in ours.statistics)
    return dict(type='SegDataPreProcessor', mean=mean, std=std, bgr_to_rgb=True, **settings)


@pytest.mark.parametrize(
    'settings', [dict(), dict(test_cfg=dict(size_divisor=32)), dict(test_cfg=dict(size=(60, 50)))]
)
def test_mmsegs_preprocessor_gives_our_results(settings):
    """A batch of equal sizes, padded or not."""
    random = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, 41, 37), generator=random, dtype=torch.uint8) for _ in range(2)]

    def results(**parts) -> list:
        model = MODELS.build(segmentors.word_config(scores=True) | parts)
        metas = [dict(ori_shape=(30, 50)), dict(ori_shape=(41, 37))]
        return model.test_step(dict(inputs=images, data_samples=segmentors.samples(*metas)))

    stock = results(data_preprocessor=stock_preprocessor(**settings))
    assert ('img_padding_size' in stock[0]) == bool(settings)
    assert_equal_results(stock, results())


# One word.


def one_word_model(words, texts: Tensor, threshold: float = 0.0, **test_cfg):
    return segmentors.pixel_segmentor(
        texts, words, empty=torch.tensor([[1.0, 0.0, 0.0]]), head=dict(threshold=threshold), **test_cfg
    )


def test_one_word_is_where_it_is_nearer_than_the_empty_string():
    model = one_word_model(['cat'], torch.tensor([[0.0, 1.0, 0.0]]), scores=True)
    image = torch.tensor([[1.0, 0.0, 0.6], [0.0, 2.0, 0.8]])[:, None]  # columns: red, green, mixed
    image = torch.cat([image, torch.zeros(1, 1, 3)])
    labels, scores = one(model, image)
    assert labels.tolist() == [[0, 1, 1]]
    assert labels.dtype == torch.int64
    torch.testing.assert_close(scores, torch.tensor([[[-1.0, 1.0, 0.2]]]))


@pytest.mark.parametrize(('threshold', 'label'), [(-1.5, 1), (0.19, 1), (0.21, 0)])
def test_the_threshold_is_absolute(threshold, label):
    model = one_word_model(['cat'], torch.tensor([[0.0, 1.0, 0.0]]), threshold, logit_scale=7.0)
    assert segmentors.labels(model.predict([torch.tensor([0.6, 0.8, 0.0])[:, None, None]]))[0].item() == label


def test_the_threshold_must_be_exceeded():
    model = one_word_model(['cat'], torch.tensor([[0.0, 1.0, 0.0]]), 1.0)
    assert segmentors.labels(model.predict([torch.tensor([0.0, 1.0, 0.0])[:, None, None]]))[0].item() == 0


def test_any_synonym_is_enough():
    model = one_word_model([['cat', 'kitten']], torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    image = torch.eye(3)[:, None]
    assert segmentors.labels(model.predict([image]))[0].tolist() == [[0, 1, 1]]


def test_background_alone_is_refused():
    with pytest.raises(ValueError, match='nothing to find'):
        segmentors.word_segmentor(['background'])


def test_one_word_has_two_names():
    model = segmentors.word_segmentor(['cat'])
    assert model.dataset_meta['classes'] == ('background', 'cat')
    assert len(model.dataset_meta['palette']) == 2
    assert (model.num_classes, model.out_channels) == (2, 1)


def test_one_word_is_compared_with_the_empty_string_of_its_text_tower():
    """End to end: the same as the difference of two cosines."""
    model = segmentors.word_segmentor([['cat', 'kitten']], scores=True)
    (image,) = segmentors.images((20, 28))
    labels, scores = one(model, image)
    words = F.normalize(model.text_encoder.embed_words(['cat', 'kitten', '']), dim=1)
    with torch.no_grad():
        patches = F.normalize(model.backbone(image[None]).patch_tokens[0], dim=0)
    cosines = torch.einsum('qc,chw->qhw', words, patches)
    resized = F.interpolate((cosines[:2] - cosines[2:])[None], (20, 28), mode='bilinear')[0]
    torch.testing.assert_close(scores, resized.amax(dim=0, keepdim=True), rtol=0, atol=1e-5)
    assert set(labels.unique().tolist()) == {0, 1}


# Settings.


def test_scores_come_only_when_asked_for():
    (image,) = segmentors.images((64, 96))
    (plain,) = golden_model(scores=False).predict([image])
    (scored,) = golden_model(scores=True).predict([image])
    assert 'seg_logits' not in plain
    assert torch.equal(plain.pred_sem_seg.data, scored.pred_sem_seg.data)
    assert plain.pred_sem_seg.data.dtype == torch.int64
    assert plain.pred_sem_seg.data.shape == (1, 64, 96)
    assert scored.seg_logits.data.shape == (6, 64, 96)
    assert 0 <= scored.seg_logits.data.min() < scored.seg_logits.data.max() <= 1


def test_feature_surgery_is_a_switch():
    """The paper's form keeps labels, the released one doesn't."""
    (image,) = segmentors.images((64, 96))
    results = {
        form: one(golden_model(head=dict(similarity=form)), image) for form in ('cosine', 'paper', 'released')
    }
    segmentors.assert_same_labels(results['paper'][0], *results['cosine'])
    assert (results['released'][0] != results['cosine'][0]).float().mean() > 0.01


@pytest.mark.parametrize(
    ('settings', 'complaint'),
    [
        (dict(crop=(224, 224)), "unknown test_cfg setting 'crop'; there are .*crop_size"),
        (dict(mode='tiles'), "mode must be 'whole' or 'slide', got 'tiles'"),
        (dict(mode='slide'), 'needs crop_size and stride'),
        (dict(mode='slide', crop_size=32), 'needs crop_size and stride'),
        (
            dict(mode='slide', crop_size=3, stride=2),
            r'crop_size \(3, 3\) is smaller than a patch \(4 pixels\)',
        ),
        (dict(mode='slide', crop_size=(8, 3), stride=2), r'crop_size \(8, 3\) is smaller than a patch'),
        (
            dict(mode='slide', crop_size=8, stride=9),
            r'stride \(9, 9\) must lie between 1 and crop_size \(8, 8\)',
        ),
        (dict(mode='slide', crop_size=(8, 20), stride=(10, 10)), r'stride \(10, 10\) must lie between'),
        (dict(mode='slide', crop_size=8, stride=0), 'stride must be a whole number >= 1, got 0'),
        (dict(logit_scale=0), 'logit_scale must be above 0, got 0'),
        (dict(window_batch=0), 'window_batch must be a whole number >= 1, got 0'),
        (dict(prob_thd=10), 'prob_thd must lie between 0 and 1, got 10'),
        (dict(area_thd=-0.1), 'area_thd must lie between 0 and 1, got -0.1'),
        (dict(pamr=True), r'pamr must be like dict\(iterations=10.*got True'),
        (dict(pamr=dict(iterations=10)), "pamr must be like .*'dilations'"),
        (dict(pamr=dict(iterations=10, dilations=(8, 16), dilation=3)), "pamr must be like .*'dilation'"),
        (
            dict(pamr=dict(iterations=10, dilations=(0,))),
            'pamr must be like .*dilations must be a whole number >= 1, got 0',
        ),
        (dict(precision='fp8'), "precision must be one of fp32, tf32, bf16, fp16, got 'fp8'"),
    ],
    ids=lambda value: ' '.join(f'{k}={v}' for k, v in value.items()) if isinstance(value, dict) else '',
)
def test_bad_settings(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        segmentors.word_segmentor(**settings)


@pytest.mark.parametrize('name', ['prob_thd', 'area_thd'])
@pytest.mark.parametrize(
    ('words', 'first'), [(['cat', 'dog'], 'cat'), (['cat'], 'cat'), (['sky', 'background'], 'sky')]
)
def test_rules_need_background_as_class_0(name, words, first):
    with pytest.raises(
        ValueError, match=f"{name} gives pixels to class 0, which is '{first}'.*set it to None"
    ):
        segmentors.word_segmentor(words, **{name: 0.1})


@pytest.mark.parametrize(
    ('changes', 'complaint'),
    [
        (
            dict(decode_head=dict(type='SurgeryHead', num_classes=21)),
            'num_classes is 21, the vocabulary has 4',
        ),
        (dict(train_cfg=dict()), 'nothing is trained'),
        (
            dict(text_encoder=segmentors.word_config('voc2012')['text_encoder']),
            "unknown vocabulary name 'voc2012'",
        ),
    ],
    ids=['num_classes', 'train_cfg', 'vocabulary'],
)
def test_parts_that_contradict_each_other(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        MODELS.build(segmentors.word_config() | changes)


def test_settings_are_checked_before_towers_are_built():
    """A long download must not come first."""
    for config, complaint in (
        (segmentors.word_config(crop=3), "unknown test_cfg setting 'crop'"),
        (segmentors.word_config('voc2012'), "unknown vocabulary name 'voc2012'"),
        (segmentors.word_config(templates='nice'), "unknown templates name 'nice'"),
    ):
        config['backbone']['pretrained'] = 'missing.pt'
        with pytest.raises(ValueError, match=complaint):
            MODELS.build(config)


def test_num_classes_of_the_vocabulary_is_accepted():
    model = MODELS.build(segmentors.word_config() | dict(decode_head=dict(type='SurgeryHead', num_classes=4)))
    assert (model.num_classes, model.out_channels, model.align_corners) == (4, 4, False)


def test_only_towers_and_words_are_needed():
    """The preprocessor is the tower's, the head the default one."""
    config = segmentors.word_config(scores=True)
    del config['decode_head'], config['test_cfg']
    random = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 21, 30), generator=random, dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=segmentors.samples({}))
    (found,) = MODELS.build(config).test_step(copy.deepcopy(data))
    (expected,) = segmentors.word_segmentor().test_step(data)
    assert torch.equal(found.pred_sem_seg.data, expected.pred_sem_seg.data)


def test_without_words():
    """They may come later; until then a prediction says so."""
    model = segmentors.word_segmentor(None)
    assert model.dataset_meta == dict(classes=(), palette=[])
    assert model.num_classes is None
    with pytest.raises(ValueError, match='no vocabulary'):
        model.predict(segmentors.images((20, 20)))


def test_names_are_the_vocabularys_whatever_mmsegs_tools_believe():
    model = segmentors.word_segmentor(['cat', ['dog', 'puppy']])
    model.dataset_meta = dict(classes=('road', 'sidewalk', 'building'), palette=[[1, 2, 3]] * 3)
    assert model.dataset_meta == dict(classes=('cat', 'dog'), palette=[[0, 0, 0], [128, 0, 0]])
    model.dataset_meta = None
    assert model.dataset_meta['classes'] == ('cat', 'dog')
    model.dataset_meta = dict(classes=['cat', 'dog'], palette=[[1, 2, 3], [4, 5, 6]])
    assert model.dataset_meta['palette'] == [[1, 2, 3], [4, 5, 6]]


# Modes.


def test_tensor_mode_gives_logits():
    model = golden_model()
    images = segmentors.images((64, 96), (80, 64))
    logits = model(images, mode='tensor')
    assert [tuple(part.shape) for part in logits] == [(7, 64, 96), (7, 80, 64)]
    assert all(torch.equal(a, b) for a, b in zip(logits, model.encode_decode(images), strict=True))
    padded = segmentors.samples(dict(padding_size=(0, 16, 0, 0)), dict())
    assert model(images, padded)[0].shape == (7, 64, 80)


def test_features_are_the_backbones():
    features = golden_model().extract_feat(torch.zeros(1, 3, 64, 64))
    assert isinstance(features, ImageTokens)


def test_loss_mode_is_refused():
    model = segmentors.word_segmentor()
    data = dict(inputs=[torch.zeros(3, 20, 20, dtype=torch.uint8)], data_samples=segmentors.samples({}))
    for call in (
        lambda: model(data['inputs'], data['data_samples'], mode='loss'),
        lambda: model.train_step(data, OptimWrapper(torch.optim.SGD(model.parameters(), lr=1))),
    ):
        with pytest.raises(NotImplementedError, match='nothing is trained'):
            call()


def test_it_stays_in_eval_mode():
    model = segmentors.word_segmentor().train()
    assert not any(module.training for module in model.modules())


# Bad images.


@pytest.mark.parametrize(
    'settings', [dict(), dict(mode='slide', crop_size=16, stride=8)], ids=['whole', 'slide']
)
@pytest.mark.parametrize(
    ('inputs', 'complaint'),
    [
        ([torch.full((3, 20, 20), float('nan'))], 'NaN'),
        ([torch.full((3, 20, 20), float('inf'))], 'NaN or infinite'),
        ([torch.zeros(3, 3, 20)], r'at least one patch \(4 pixels\).*3 x '),
        ([torch.zeros(3, 20, 2)], r'at least one patch \(4 pixels\).* x 2'),
        ([torch.zeros(1, 20, 20)], r'"3 H W".*\(1, 20, 20\)'),
        ([torch.zeros(20, 20)], r'"3 H W".*\(20, 20\)'),
        (torch.zeros(3, 20, 20), r'"3 H W".*\(20, 20\)'),
    ],
    ids=['NaN', 'infinite', 'low', 'narrow', 'grey', 'no channels', 'no batch'],
)
def test_bad_images(settings, inputs, complaint):
    with pytest.raises(ValueError, match=complaint):
        segmentors.word_segmentor(**settings).predict(inputs)


def test_as_many_samples_as_images():
    with pytest.raises(ValueError, match='2 images and 1 data samples'):
        segmentors.word_segmentor().predict(segmentors.images((20, 20), (20, 20)), segmentors.samples({}))


def test_an_unknown_flip():
    with pytest.raises(ValueError, match="got 'sideways'"):
        one(golden_model(), segmentors.images((64, 64))[0], flip=True, flip_direction='sideways')


# Precision.


@pytest.mark.slow
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=['half', 'bfloat16'])
def test_low_precision(dtype):
    images = segmentors.images((64, 96), (101, 70))
    exact, low = golden_model(**SLIDE), golden_model(**SLIDE).to(dtype)
    for found, expected in zip(low.predict(images), exact.predict(images), strict=True):
        scores = found.seg_logits.data
        assert scores.dtype == torch.float32
        assert (scores - expected.seg_logits.data).abs().mean() < 0.02
        labels = segmentors.labels([found, expected])
        assert (labels[0] == labels[1]).float().mean() > 0.97


def test_low_precision_of_the_whole_model_with_words():
    (image,) = segmentors.images((40, 60))
    expected = one(segmentors.word_segmentor(scores=True), image)[0]
    for dtype in (torch.float16, torch.bfloat16):
        assert (
            one(segmentors.word_segmentor(scores=True).to(dtype), image)[0] == expected
        ).float().mean() > 0.9


def test_autocast_reaches_the_towers_only():
    """As in MMEngine's TestLoop(fp16=True): like a bfloat16 tower, with everything after it in float32."""
    (image,) = segmentors.images((101, 70))
    expected = one(golden_model(**SLIDE), image)[1]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        scores = one(golden_model(**SLIDE), image)[1]
    assert scores.dtype == torch.float32
    assert (scores - expected).abs().mean() < 0.02
    like_pixels = segmentors.pixel_segmentor(
        segmentors.texts(3), ['a', 'b', 'c'], scores=True, patch=4, **SLIDE
    )
    exact = one(like_pixels, image, ori_shape=(64, 64))[1]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(one(like_pixels, image, ori_shape=(64, 64))[1], exact)


def test_autocast_does_not_reach_texts():
    """Embeddings go to the disk cache, whose key knows nothing of autocast."""
    exact = segmentors.word_segmentor().text_encoder.embed_words(['cat'])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(segmentors.word_segmentor().text_encoder.embed_words(['cat']), exact)


@pytest.mark.slow
@pytest.mark.parametrize(('precision', 'dtype'), [('bf16', torch.bfloat16), ('fp16', torch.float16)])
def test_precision_is_autocast_of_the_tower(precision, dtype):
    (image,) = segmentors.images((101, 70))
    scores = one(golden_model(precision=precision, **SLIDE), image)[1]
    with torch.autocast('cpu', dtype=dtype):
        expected = one(golden_model(**SLIDE), image)[1]
    assert torch.equal(scores, expected)
    assert not torch.equal(scores, one(golden_model(**SLIDE), image)[1])


def test_without_a_compiler_the_plain_tower_serves(monkeypatch, caplog):
    def broken(forward):
        def run(*args, **kwargs):
            raise RuntimeError('no compiler here')

        return run

    monkeypatch.setattr(torch, 'compile', broken)
    (image,) = segmentors.images((64, 96))
    model = golden_model(compiled=True, window_batch=1, **SLIDE)
    assert torch.equal(one(model, image)[1], one(golden_model(window_batch=1, **SLIDE), image)[1])
    assert len([message for message in caplog.messages if 'no compiler here' in message]) == 1


# State.


def test_names_in_the_state_are_stable():
    names = set(segmentors.word_segmentor().state_dict())
    prefixes = {re.match(r'\w+\.\w+', name).group() for name in names}
    assert prefixes == {'backbone.visual', 'text_encoder.text'}
    assert {
        'backbone.visual.conv1.weight',
        'backbone.visual.transformer.resblocks.2.attn.in_proj_weight',
        'text_encoder.text.token_embedding.weight',
        'text_encoder.text.transformer.resblocks.1.mlp.c_proj.bias',
    } <= names


@pytest.mark.parametrize('predict_first', [False, True], ids=['fresh', 'after a prediction'])
def test_a_checkpoint_brings_images_and_texts(tmp_path, predict_first):
    """Text embeddings are made anew when other weights are loaded."""
    source, target = (segmentors.word_segmentor(seed=seed, scores=True) for seed in (1, 2))
    (image,) = segmentors.images((40, 60))
    before = one(target, image)[1] if predict_first else None
    path = tmp_path / 'model.pth'
    torch.save(dict(state_dict=source.state_dict(), meta={}), path)
    load_checkpoint(target, str(path), map_location='cpu')
    expected = one(source, image)[1]
    assert torch.equal(one(target, image)[1], expected)
    assert before is None or not torch.allclose(before, expected)


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        (lambda state: state.pop('backbone.visual.proj'), r'missing backbone\.visual\.proj'),
        (lambda state: state.update(more=torch.zeros(1)), 'unexpected more'),
        (lambda state: state.clear(), 'missing'),
    ],
    ids=['missing', 'unexpected', 'empty'],
)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, change, complaint):
    """MMEngine loads leniently: it would go on with the weights there are."""
    model = segmentors.word_segmentor()
    state = OrderedDict(model.state_dict())
    change(state)
    torch.save(dict(state_dict=state), tmp_path / 'model.pth')
    with pytest.raises(ValueError, match=complaint):
        load_checkpoint(model, str(tmp_path / 'model.pth'), map_location='cpu')


def test_pretrained_of_the_segmentor_serves_both_towers():
    config = segmentors.word_config(seed=None, scores=True) | dict(
        pretrained=str(tiny.weights_file(segmentors.ARCH, 1))
    )
    (image,) = segmentors.images((40, 60))
    expected = one(segmentors.word_segmentor(scores=True), image)[1]
    assert torch.equal(one(MODELS.build(config), image)[1], expected)


def test_predictions_can_be_written_into():
    """As those of MMSeg's own models: `pred[pred == 0] = 255` prepares masks for a benchmark's server."""
    model = golden_model(maps=True)
    (sample,) = model.predict(segmentors.images((64, 96)))
    labels = sample.pred_sem_seg.data
    expected = torch.where(labels == 0, 255, labels)
    labels[labels == 0] = 255
    assert torch.equal(sample.pred_sem_seg.data, expected)
    for found in (sample.seg_logits.data, sample.class_maps.data, model(segmentors.images((64, 96)))[0]):
        assert not found.is_inference()
        assert not found.requires_grad


@pytest.mark.slow
def test_a_copy_predicts_the_same():
    model = segmentors.word_segmentor(scores=True)
    (image,) = segmentors.images((40, 60))
    expected = one(model, image)[1]
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
    assert torch.equal(one(copied, image)[1], expected)
    assert copied.predictor.tower is copied.backbone


def test_the_config_is_left_alone():
    config = segmentors.word_config(mode='slide', crop_size=[16, 16], stride=8)
    before = copy.deepcopy(config)
    MODELS.build(config)
    assert config == before


def test_without_a_default_scope(monkeypatch):
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
    assert DefaultScope.get_current_instance() is None
    data = dict(inputs=[torch.zeros(3, 20, 20, dtype=torch.uint8)], data_samples=segmentors.samples({}))
    assert len(segmentors.word_segmentor().test_step(data)) == 1


@pytest.fixture
def one_process(tmp_path) -> Iterator[None]:
    """A group of this process alone."""
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings(
    'ignore:`broadcast_buffers` is deprecated:FutureWarning'
)  # both stacks know this name
def test_mmengines_distributed_wrapper(one_process):
    model = segmentors.word_segmentor()
    data = dict(inputs=[torch.zeros(3, 20, 20, dtype=torch.uint8)], data_samples=segmentors.samples({}))
    (expected,) = model.test_step(copy.deepcopy(data))
    wrapped = MMDistributedDataParallel(model, device_ids=None, broadcast_buffers=False)
    (found,) = wrapped.test_step(data)
    assert torch.equal(found.pred_sem_seg.data, expected.pred_sem_seg.data)
