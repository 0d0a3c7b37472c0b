"""Test-time augmentation: scores of the views are averaged at the original size, then come the thresholds."""

import copy

import mini_voc
import segmentors

import mmcv
import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from torch import Tensor

pytestmark = pytest.mark.mmseg

TEXTS, WORDS = torch.eye(3), ['background', 'first', 'second']
SCALES = (1.0, 1.5)
TTA_PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale_factor=scale, keep_ratio=True) for scale in SCALES],
            [
                dict(type='RandomFlip', prob=0.0),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='vertical'),
            ],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]


def tta_model(module):
    return MODELS.build(dict(type='CLIPSurgeryTTAModel', module=module))


def views(scores: list[list[float]]) -> list:
    """Samples of one image, each view with class scores of its only pixel."""
    made = []
    for view in scores:
        (sample,) = segmentors.samples(dict(img_path='photo.jpg'))
        sample.set_data(dict(seg_logits=PixelData(data=torch.tensor(view)[:, None, None])))
        made.append(sample)
    return made


@pytest.mark.parametrize(
    ('scores', 'settings', 'label'),
    [
        ([[0.3, 0.6, 0.1], [0.3, 0.2, 0.5]], dict(), 1),
        ([[0.3, 0.6, 0.1], [0.3, 0.2, 0.5]], dict(prob_thd=0.45), 0),
        ([[0.1, 0.8, 0.1], [0.4, 0.3, 0.3]], dict(prob_thd=0.5), 1),
    ],
    ids=['mean', 'a mean below the threshold', 'a mean above it'],
)
def test_thresholds_see_the_mean(scores, settings, label):
    """In the second case both views pass the threshold by themselves, in the third one of them doesn't."""
    model = tta_model(segmentors.pixel_segmentor(TEXTS, WORDS, **settings))
    (merged,) = model.merge_preds([views(scores)])
    assert merged.pred_sem_seg.data.item() == label
    torch.testing.assert_close(merged.seg_logits.data.flatten(), torch.tensor(scores).mean(dim=0))
    assert merged.img_path == 'photo.jpg'


def test_the_area_rule_sees_the_mean():
    """First has one pixel of ten in the mean, though three in one view."""
    model = tta_model(segmentors.pixel_segmentor(TEXTS, WORDS, area_thd=0.15))
    first, second = torch.zeros(3, 1, 10), torch.zeros(3, 1, 10)
    for scores, count in ((first, 3), (second, 1)):
        scores[1, :, :count], scores[2, :, count:] = 0.6, 0.9
    samples = segmentors.samples({}, {})
    for sample, scores in zip(samples, (first, second), strict=True):
        sample.set_data(dict(seg_logits=PixelData(data=scores)))
    (merged,) = model.merge_preds([samples])
    assert merged.pred_sem_seg.data.flatten().tolist() == [0] + [2] * 9


def test_one_word():
    """Similarities are averaged, then cut by the head's threshold."""
    module = segmentors.pixel_segmentor(
        TEXTS[1:2], ['cat'], empty=TEXTS[:1], head=dict(threshold=0.25), prob_thd=None
    )
    model = tta_model(module)
    for scores, label in (([[0.1], [0.5]], 1), ([[0.1], [0.3]], 0)):
        (merged,) = model.merge_preds([views(scores)])
        assert merged.pred_sem_seg.data.item() == label


def test_names_are_the_segmentors():
    model = tta_model(segmentors.pixel_segmentor(TEXTS, WORDS))
    assert model.dataset_meta['classes'] == tuple(WORDS)


def plain_scores(module, image: np.ndarray) -> Tensor:
    """Mean class scores "k H W" over all views of an image (H, W, BGR), by hand."""
    height, width = image.shape[:2]
    total = torch.zeros(module.num_classes, height, width)
    for scale in SCALES:
        size = (int(width * scale + 0.5), int(height * scale + 0.5))
        view = image if scale == 1 else mmcv.imresize(image, size)
        for dims in ([], [2], [1]):
            pixels = torch.from_numpy(view.transpose(2, 0, 1).copy()).flip(dims)
            metas = segmentors.samples({})
            data = module.data_preprocessor(dict(inputs=[pixels], data_samples=metas))
            logits = module(data['inputs'])[0].flip(dims)
            resized = torch.nn.functional.interpolate(logits[None], (height, width), mode='bilinear')[0]
            probabilities = (40 * resized).softmax(dim=0)
            class_of = module.vocabulary.class_of
            for k in range(module.num_classes):
                total[k] += probabilities[[q for q, owner in enumerate(class_of) if owner == k]].amax(dim=0)
    return total / 6


@pytest.mark.slow
def test_through_the_runner(tmp_path):
    """MMEngine's loop over `TestTimeAug` of a VOC equals averaging by hand, thresholds last."""
    voc = mini_voc.make(tmp_path / 'voc', mini_voc.NAMES[:3])
    settings = dict(prob_thd=0.35, area_thd=0.02, mode='slide', crop_size=16, stride=8)
    config = mini_voc.config(voc)
    config.work_dir = str(tmp_path)
    config.model = dict(type='CLIPSurgeryTTAModel', module=segmentors.word_config('voc21', **settings))
    config.test_dataloader.dataset.pipeline = TTA_PIPELINE
    runner = Runner.from_cfg(config)
    batches = [runner.model.test_step(copy.deepcopy(batch)) for batch in runner.test_dataloader]
    metrics = runner.test()
    assert set(metrics) >= {'mIoU', 'aAcc'}
    module = segmentors.word_segmentor('voc21', **settings)
    results = [result for batch in batches for result in batch]
    assert [result.img_path for result in results] == [
        str(voc / f'JPEGImages/{name}.jpg') for name in mini_voc.NAMES[:3]
    ]
    ruled = 0
    for result in results:
        expected = plain_scores(module, mmcv.imread(result.img_path))
        torch.testing.assert_close(result.seg_logits.data, expected, rtol=0, atol=1e-5)
        plain = labels = expected.argmax(dim=0)
        areas = labels.flatten().bincount(minlength=21)[1:]
        dropped = 1 + (areas <= 0.02 * areas.sum()).nonzero().flatten()
        expected[dropped] = 0
        labels = expected.argmax(dim=0)
        labels[expected.amax(dim=0) < 0.35] = 0
        assert (result.pred_sem_seg.data[0] == labels).float().mean() > 0.99
        assert result.gt_sem_seg.data.shape == (1, *labels.shape)
        ruled += int((labels != plain).sum())
    assert ruled > 20
