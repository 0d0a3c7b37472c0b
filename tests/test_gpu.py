"""On a GPU (a pretended one): no operation mixes devices, labels are those of the CPU, and the host seldom waits."""

import pretend_gpu
import rows
import segmentors
import tiny
import tiny_timm
from cases import slow_but
from mmseg_clipsurgery import load
from mmseg_clipsurgery.evaluation.metrics import segmentation
from mmseg_clipsurgery.evaluation.metrics.explainability import ExplainabilityMetric
from mmseg_clipsurgery.evaluation.metrics.recognition_map import RecognitionMAP
from mmseg_clipsurgery.evaluation.metrics.segmentation import SegmentationMetric
from mmseg_clipsurgery.methods.same_label import SameLabelFeedback
from pretend_gpu import PretendGpu, on_cpu, on_gpu

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from torch import Tensor

pytestmark = [
    pytest.mark.mmseg,
    pytest.mark.skipif(not pretend_gpu.AVAILABLE, reason='this torch has no Python backends'),
]
SIZES = [(30, 41), (17, 22)]
ORIGINAL = [dict(ori_shape=(60, 80)), dict(ori_shape=(20, 20))]
SLIDE = dict(mode='slide', crop_size=12, stride=6)
RULES = dict(area_thd=0.2, prob_thd=0.3)


def predict(model, sizes=SIZES, metas=ORIGINAL, place=lambda image: image) -> list[Tensor]:
    found = model.predict([place(image) for image in segmentors.images(*sizes)], segmentors.samples(*metas))
    return [on_cpu(labels) for labels in segmentors.labels(found)]


def test_the_pretended_gpu_refuses_to_mix_devices():
    with PretendGpu() as gpu:
        there = torch.ones(2, 3, device=gpu.device)
        assert there.device == gpu.device
        assert (there * 2 + torch.tensor(1.0)).sum().cpu() == 18
        with pytest.raises(RuntimeError, match='mixes devices'):
            there @ torch.ones(3, 2)


def test_the_pretended_gpu_counts_waits():
    with PretendGpu() as gpu:
        there = torch.arange(6, device=gpu.device)
        there[there.to(gpu.device) * 0 + 1] + torch.zeros((), dtype=torch.int64)
        assert gpu.waits == []
        there[there > 2], there.cpu(), int(there.sum()), there.tolist(), there.nonzero()
        assert len(gpu.waits) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    'settings',
    [
        {},
        SLIDE,
        {**SLIDE, **RULES},
        {**SLIDE, **RULES, 'chunk_memory': 4000},
        {**SLIDE, 'pad_windows': True, 'window_batch': 2},
        {**SLIDE, **RULES, 'scores': True, 'maps': True},
        {'pamr': dict(iterations=2, dilations=(1, 2))},
    ],
    ids=['whole', 'slide', 'rules', 'row chunks', 'padded', 'scores', 'pamr'],
)
def test_labels_are_those_of_the_cpu(settings):
    model = segmentors.word_segmentor(**settings)
    expected = predict(model)
    with PretendGpu() as gpu:
        model.to(gpu.device)
        found = predict(model, place=on_gpu)
    assert all(map(torch.equal, found, expected))


@pytest.mark.slow
@pytest.mark.parametrize(
    ('words', 'head'),
    [(['cat'], {}), (segmentors.WORDS, {'similarity': 'released'})],
    ids=['one', 'released'],
)
def test_other_similarities(words, head):
    model = MODELS.build(segmentors.word_config(words) | {'decode_head': dict(type='SurgeryHead', **head)})
    expected = predict(model)
    with PretendGpu() as gpu:
        model.to(gpu.device)
        assert all(map(torch.equal, predict(model, place=on_gpu), expected))


@pytest.mark.slow
def test_flips_are_undone():
    model, flip = segmentors.word_segmentor(), dict(flip=True, flip_direction='diagonal')
    metas = [meta | flip for meta in ORIGINAL]
    expected = predict(model, metas=metas)
    with PretendGpu() as gpu:
        model.to(gpu.device)
        assert all(map(torch.equal, predict(model, metas=metas, place=on_gpu), expected))


@pytest.mark.parametrize('surgery', slow_but(['clip_surgery'], rows.ANY_TOWER))
@pytest.mark.parametrize(('kind', 'size'), [('vit', (40, 56)), ('resnet', (64, 96))])
def test_towers(kind, size, surgery):
    tower, images = getattr(tiny, kind)(surgery), tiny.images(2, 3, *size)
    with torch.inference_mode():
        expected = tower(images)
        with PretendGpu() as gpu:
            tower.to(gpu.device)
            found = tower(on_gpu(images))
    for one, other in zip(found, expected, strict=True):
        assert one.device == gpu.device
        torch.testing.assert_close(on_cpu(one), other, rtol=1e-4, atol=1e-5)  # another attention kernel


@pytest.mark.slow
@pytest.mark.parametrize('name', rows.NEWER)
def test_newer_rows(name):
    tower, images = tiny.vit(rows.fitted(name, 8)), tiny.images(2, 3, 48, 80)
    guide = tiny.images(2, 6, 5, 7)
    with torch.inference_mode():
        expected = tower(images, guide=guide)
        with PretendGpu() as gpu:
            tower.to(gpu.device)
            found = tower(on_gpu(images), guide=on_gpu(guide))
    for one, other in zip(found, expected, strict=True):
        assert one.device == gpu.device
        torch.testing.assert_close(on_cpu(one), other, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_feedback():
    queries = torch.nn.functional.normalize(tiny.images(3, 64), dim=-1)
    tower, images = tiny.vit('naclip'), tiny.images(2, 3, 40, 56)
    with torch.inference_mode():
        expected = tower(images, feedback=SameLabelFeedback(queries, 40.0, 1.8, 0.7, 0.1)).patch_tokens
        with PretendGpu() as gpu:
            tower.to(gpu.device)
            rule = SameLabelFeedback(on_gpu(queries), 40.0, 1.8, 0.7, 0.1)
            found = tower(on_gpu(images), feedback=rule).patch_tokens
    torch.testing.assert_close(on_cpu(found), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_texts_are_encoded_and_cached(tmp_path):
    config = segmentors.word_config()
    config['text_encoder']['text_cache'] = str(tmp_path)
    expected = MODELS.build(config).text_encoder().embeddings
    for file in tmp_path.iterdir():
        file.unlink()
    with PretendGpu() as gpu:
        for _ in range(2):  # the second time from the disk
            model = MODELS.build(config)
            model.to(gpu.device)
            torch.testing.assert_close(on_cpu(model.text_encoder().embeddings), expected)


@pytest.mark.slow
@pytest.mark.parametrize('call', ['segment', 'heatmaps', 'points', 'recognise'])
def test_the_python_interface(call):
    words = 'fish' if call == 'points' else ['fish', 'water']
    model, photo = load('scenes'), np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    with PretendGpu() as gpu:
        model.to(gpu.device)
        getattr(model, call)(photo, words)
        model.explain_text(photo, 'a fish in the water')


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['legrad', 'relevance_all', 'grad_eclip', 'grad_cam', 'rollout', 'clip_surgery:released']
)
def test_explainers(name):
    model, photo = load('scenes'), np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    expected = model.heatmaps(photo, ['fish', 'water'], explainer=name).similarity
    with PretendGpu() as gpu:
        model.to(gpu.device)
        found = model.heatmaps(photo, ['fish', 'water'], explainer=name).similarity
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    'metric',
    [
        SegmentationMetric,
        SegmentationMetric(iou_metrics=['mIoU'], per_image=True),
        ExplainabilityMetric,
    ],
    ids=['segmentation', 'per image', 'explainability'],
)
def test_metrics(metric):
    """From what the data loader hands over to the figures."""
    model = segmentors.word_segmentor(maps=True)
    metric = metric() if isinstance(metric, type) else metric
    metric.dataset_meta = dict(classes=list(model.class_names))
    expected = measured(model, metric)
    with PretendGpu() as gpu:
        model.to(gpu.device)
        assert measured(model, metric) == expected


def measured(model, metric, count: int = 3) -> dict:
    return metric.evaluate(run(model, metric, count))


def run(model, metric, count: int) -> int:
    random = torch.Generator().manual_seed(0)
    for index in range(count):
        data = loaded(random, f'{index}.jpg')
        metric.process({}, [sample.to_dict() for sample in model.test_step(data)])
    return count


def loaded(random: torch.Generator, name: str) -> dict:
    """A batch of one image as the data loader hands it over."""
    pixels = torch.randint(0, 256, (3, 24, 32), generator=random).to(torch.uint8)
    (sample,) = segmentors.samples(dict(ori_shape=(30, 40), img_path=name))
    sample.gt_sem_seg = PixelData(data=torch.randint(0, 4, (1, 30, 40), generator=random))
    return dict(inputs=[pixels], data_samples=[sample])


@pytest.mark.slow
def test_recognition():
    config = segmentors.word_config()
    model = MODELS.build(
        dict(type='CLIPSurgeryRecogniser', **{key: config[key] for key in ('backbone', 'text_encoder')})
    )
    metric = RecognitionMAP()
    metric.dataset_meta = dict(classes=['background', 'cat', 'dog', 'red car'])
    expected = measured(model, metric)
    with PretendGpu() as gpu:
        model.to(gpu.device)
        assert measured(model, metric) == expected


def waits_of(model, sizes, metas) -> int:
    """How often the host waits in a prediction, words embedded before."""
    with PretendGpu() as gpu:
        model.to(gpu.device)
        predict(model, sizes, metas, on_gpu)
        gpu.start()
        predict(model, sizes, metas, on_gpu)
        return len(gpu.waits)


@pytest.mark.slow
@pytest.mark.parametrize('rules', [{}, RULES], ids=['no rules', 'rules'])
def test_the_host_waits_twice_for_a_batch_and_once_for_a_window_batch(rules):
    """Whatever the number of images, windows, row chunks and queries; both waits of a batch follow its last window."""
    big = dict(ori_shape=(90, 120))
    model = segmentors.word_segmentor(**SLIDE, **rules, window_batch=1000)
    assert waits_of(model, [(24, 32)], [big]) == 3
    assert waits_of(model, [(24, 32), (36, 48), (17, 30)], [big] * 3) == 3
    words = ['background', *(f'word {k}' for k in range(60))]
    many = segmentors.word_segmentor(words, **SLIDE, **rules)
    assert waits_of(many, [(24, 32)], [big]) == 3


@pytest.mark.slow
def test_row_chunks_wait_once_an_image_for_the_area_rule():
    model = segmentors.word_segmentor(**RULES, chunk_memory=4000)
    assert waits_of(model, [(24, 32)] * 3, [dict(ori_shape=(40, 60))] * 3) == 3 + 3


@pytest.mark.slow
def test_the_metric_waits_now_and_then(monkeypatch):
    monkeypatch.setattr(segmentation, 'MOST_UNCHECKED', 3)
    model, metric = segmentors.word_segmentor(), SegmentationMetric()
    metric.dataset_meta = dict(classes=list(model.class_names))
    with PretendGpu() as gpu:
        model.to(gpu.device)
        run(model, metric, 1)
        gpu.start()
        run(model, metric, 2 * 3)
        assert len(gpu.waits) == 3 * 2 * 3 + 2  # three of each prediction


def test_a_label_that_is_no_class_is_named_in_the_end():
    metric = SegmentationMetric()
    metric.dataset_meta = dict(classes=['background', 'cat'])
    with PretendGpu() as gpu:
        for name, truth in (('0.jpg', 1), ('1.jpg', 7), ('2.jpg', 0)):
            one = dict(
                pred_sem_seg={'data': torch.zeros(1, 2, 2, dtype=torch.int64, device=gpu.device)},
                gt_sem_seg={'data': torch.full((1, 2, 2), truth)},
                img_path=name,
            )
            metric.process({}, [one])
        with pytest.raises(ValueError, match=r'1\.jpg: the mask holds label 7 and there are 2 classes'):
            metric.evaluate(3)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['SigLIP', 'PE', 'EVA-02', 'MobileCLIP-B'])
def test_towers_of_timm(kind):
    """Rotary angles are made where the tower is."""
    tower = tiny_timm.tower(kind)
    images = tiny.images(1, 3, 4 * tower.patch, 5 * tower.patch)
    with torch.no_grad():
        expected = tower(images)
        with PretendGpu() as gpu:
            found = tower.to(gpu.device)(images.to(gpu.device))
        for there, here in zip(found, expected, strict=True):
            torch.testing.assert_close(on_cpu(there), here)
