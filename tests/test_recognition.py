"""Multi-label recognition: average precision against the plain definition, labels from masks, the whole test loop."""

import math

import mini_voc
import photos
import tiny
from mmseg_clipsurgery.clip.checkpoints import own_logit_scale
from mmseg_clipsurgery.evaluation.metrics.average_precision import average_precision, mean_of_occurring
from mmseg_clipsurgery.evaluation.metrics.recognition_map import RecognitionMAP, classes_present
from mmseg_clipsurgery.recognition import classes_kept, recognition_scores, word_presence
from mmseg_clipsurgery.structures import TextQueries

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import multiprocessing
from torch.nn.functional import normalize, one_hot

pytestmark = pytest.mark.mmseg


def plain_average_precision(scores, present) -> float:
    """Mean over the positives of the share of positives among all that score at least as high."""
    precisions = []
    for score, own in zip(scores, present, strict=True):
        if own:
            above = [other for s, other in zip(scores, present, strict=True) if s >= score]
            precisions.append(sum(above) / len(above))
    return sum(precisions) / len(precisions)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=12
    )
)
@settings(max_examples=100, deadline=None)
def test_average_precision_is_the_plain_definition(rows):
    scores, present = (np.array(part)[:, None] for part in zip(*rows, strict=True))
    found = average_precision(scores, present)
    if present.any():
        assert found[0] == pytest.approx(plain_average_precision(scores[:, 0], present[:, 0]))
    else:
        assert np.isnan(found[0])


@pytest.mark.parametrize(
    ('scores', 'present', 'expected'),
    [
        pytest.param([0.9, 0.8, 0.1], [1, 1, 0], 1.0, id='perfect'),
        pytest.param([0.1, 0.8, 0.9], [1, 0, 0], 1 / 3, id='last'),
        pytest.param([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 1], 0.5, id='all equal'),
        pytest.param([0.9, 0.8, 0.7], [1, 0, 1], (1 + 2 / 3) / 2, id='one between'),
    ],
)
def test_average_precision_by_hand(scores, present, expected):
    found = average_precision(np.array(scores)[:, None], np.array(present, bool)[:, None])
    assert found[0] == pytest.approx(expected)


def test_mean_is_over_classes_that_occur():
    assert mean_of_occurring([0.5, np.nan, 1.0]) == 75
    with pytest.raises(ValueError, match='no image holds any of the classes'):
        mean_of_occurring([np.nan])


def test_scores_are_a_softmax_over_queries_and_the_best_of_a_class():
    random = torch.Generator().manual_seed(0)
    cls = torch.randn(2, 8, generator=random)
    text = normalize(torch.randn(3, 8, generator=random), dim=1)
    separate = recognition_scores(cls, TextQueries(text, torch.arange(3)), 'paper', 10.0)
    torch.testing.assert_close(separate, (10 * normalize(cls, dim=1) @ text.T).softmax(-1))
    shared = recognition_scores(cls, TextQueries(text, torch.tensor([0, 1, 0])), 'paper', 10.0)
    torch.testing.assert_close(shared, torch.stack([separate[:, [0, 2]].amax(1), separate[:, 1]], 1))
    released = recognition_scores(cls, TextQueries(text, torch.arange(3)), 'released', 10.0)
    assert not torch.allclose(released, separate)
    one = TextQueries(text[:1], torch.zeros(1, dtype=torch.long), text[1:2])
    expected = (10 * normalize(cls, dim=1) @ (text[0] - text[1])).sigmoid()
    torch.testing.assert_close(recognition_scores(cls, one, logit_scale=10.0)[:, 0], expected)


def test_the_models_own_scale(tmp_path):
    assert own_logit_scale(None) == 100
    assert own_logit_scale(tiny.weights_file(photos.ARCH, photos.SEED)) == pytest.approx(1 / 0.07)
    for name, tensors, expected in (
        ('none', {'proj': torch.zeros(2)}, 100),
        ('large', {'logit_scale': torch.tensor(9.0)}, 100),
        ('half', {'module.logit_scale': torch.tensor(2.0).half()}, math.exp(2)),
    ):
        torch.save(tensors, tmp_path / f'{name}.pt')
        assert own_logit_scale(tmp_path / f'{name}.pt') == pytest.approx(expected)


def test_presence_is_of_each_word_by_itself():
    random = torch.Generator().manual_seed(1)
    cls, text = torch.randn(3, 8, generator=random), normalize(torch.randn(4, 8, generator=random), dim=1)
    queries = TextQueries(text[:3], torch.tensor([0, 1, 1]))
    found = word_presence(cls, queries, text[3:], 5.0)
    expected = (5 * normalize(cls, dim=1) @ (text[:3] - text[3]).T).sigmoid()
    torch.testing.assert_close(found, torch.stack([expected[:, 0], expected[:, 1:].amax(1)], 1))


def test_classes_come_from_masks():
    mask = torch.tensor([[0, 3, 255], [3, 3, 255]])
    assert classes_present(mask, 4, 255).tolist() == [True, False, False, True]
    assert not classes_present(torch.full((2, 2), 255), 4, 255).any()
    with pytest.raises(ValueError, match='the mask holds label 3 and there are 3 classes'):
        classes_present(mask, 3, 255)


def metric(**settings) -> RecognitionMAP:
    made = RecognitionMAP(**settings)
    made.dataset_meta = {'classes': ('background', 'cat', 'dog', 'fish')}
    return made


def sample(scores, *labels) -> dict:
    return {
        'class_scores': torch.tensor(scores),
        'gt_sem_seg': {'data': torch.tensor([labels])},
        'img_path': 'a.jpg',
    }


def test_metric():
    made = metric()
    made.process(None, [sample([0.1, 0.6, 0.2, 0.1], 0, 1, 255), sample([0.4, 0.5, 0.05, 0.05], 0, 2)])
    made.process(None, [sample([0.7, 0.1, 0.1, 0.1], 0, 1)])
    assert len(made.results) == 3
    results = made.evaluate(3)
    cat, dog = (1 + 2 / 3) / 2, 1 / 3
    assert results == {'mAP': pytest.approx(100 * (cat + dog) / 2, abs=1e-3)}
    rows = {row['class']: (row['AP'], row['images']) for row in made.per_class}
    assert rows['background'] == (100, 3)
    assert rows['fish'] == (None, 0)
    assert rows['cat'] == (pytest.approx(100 * cat, abs=1e-3), 2)
    assert made.results == []


def test_the_samplers_repetition_is_dropped():
    made = metric(without=())
    for _ in range(2):
        made.process(None, [sample([0.9, 0.1, 0.0, 0.0], 0)])
    assert made.evaluate(1) == {'mAP': 100}
    assert made.per_class[0]['images'] == 1


DIVISIONS = [(7, True), (7, False), (6, True), (1, True), (1, False)]  # images, whether the sampler fills up


def numbered(index: int) -> dict:
    scores = np.random.default_rng(index).random(4).tolist()
    return sample(scores, 0, *({1, 2} if index % 2 else {3}))


def _one_of_two_processes(rank: int, folder: str) -> None:
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    results = {}
    for images, round_up in DIVISIONS:
        indices = list(range(rank, images, 2))
        if round_up and len(indices) < -(-images // 2):
            indices.append(0)  # what DefaultSampler repeats
        made = metric(without=())
        made.process(None, [numbered(index) for index in indices])
        results[images, round_up] = made.evaluate(images)
    torch.save(results, f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    multiprocessing.start_processes(_one_of_two_processes, (str(tmp_path),), nprocs=2, start_method='spawn')
    for images, round_up in DIVISIONS:
        made = metric(without=())
        made.process(None, [numbered(index) for index in range(images)])
        expected = made.evaluate(images)
        for rank in range(2):
            results = torch.load(tmp_path / f'{rank}.pt', weights_only=True)
            assert results[images, round_up] == expected, (images, round_up, rank)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        pytest.param(
            {'gt_sem_seg': {'data': torch.zeros(1, 1)}}, "model.type='CLIPSurgeryRecogniser'", id='model'
        ),
        pytest.param(sample([0.5, 0.5], 0), 'scores 2 classes, the data set has 4', id='vocabulary'),
        pytest.param(sample([0.1] * 4, 4), 'a.jpg: the mask holds label 4', id='mask'),
    ],
)
def test_mistakes(wrong, message):
    with pytest.raises(ValueError, match=message):
        metric().process(None, [wrong])


def test_scale():
    text = one_hot(torch.arange(2), 4).float()
    with pytest.raises(ValueError, match='logit_scale must be above 0, got 0'):
        recognition_scores(torch.ones(1, 4), TextQueries(text, torch.arange(2)), logit_scale=0)


@pytest.mark.parametrize(
    ('least', 'has_background', 'kept'),
    [
        (0.0, False, [True, True, True, True]),
        (0.5, False, [False, True, False, True]),
        (0.95, False, [False, True, False, False]),
        (0.95, True, [True, True, False, False]),
        (0.9, False, [False, True, False, False]),
    ],
    ids=['none is absent', 'by presence', 'the best stays', 'so does the background', 'equal is present'],
)
def test_classes_kept(least, has_background, kept):
    presence = torch.tensor([0.1, 0.9, 0.4, 0.6])
    assert classes_kept(presence, least, has_background).tolist() == kept


@pytest.mark.parametrize('least', [-0.1, 1.1, math.nan])
def test_a_least_presence_that_is_no_probability_is_refused(least):
    with pytest.raises(ValueError, match=r'a probability, in \[0, 1\], got'):
        classes_kept(torch.tensor([0.5]), least, False)


def test_test_loop(tmp_path):
    """A segmentation data set through MMSeg's test loop gives what the model says of each image by itself."""
    root = mini_voc.make(tmp_path / 'voc')
    tower = dict(arch=photos.ARCH, pretrained=str(tiny.weights_file(photos.ARCH, photos.SEED)))
    cfg = mini_voc.config(root)
    cfg.model = dict(
        type='CLIPSurgeryRecogniser',
        backbone=dict(type='CLIPSurgeryViT', surgery=photos.SURGERY, **tower),
        text_encoder=dict(
            type='OpenCLIPTextEncoder', vocabulary='voc21', templates='bare', text_cache=False, **tower
        ),
        test_cfg=dict(mode='slide', crop_size=16, stride=8, prob_thd=0.1),
    )
    cfg.test_evaluator = dict(type='RecognitionMAP', prefix='recognition')
    cfg.work_dir = str(tmp_path / 'work')
    results = Runner.from_cfg(cfg).test()
    model = MODELS.build(cfg.model)
    queries = model.text_encoder()
    scores = [
        recognition_scores(model.backbone(image[None]).cls_token, queries, logit_scale=1 / 0.07)[0]
        .detach()
        .numpy()
        for image in normalised_images(cfg, model)
    ]
    present = [classes_present(mask, 21, 255) for mask in masks(cfg)]
    expected = average_precision(np.stack(scores), np.stack(present))[1:]
    assert results['recognition/mAP'] == pytest.approx(100 * np.nanmean(expected), abs=0.01)


def dataset(cfg):
    from mmseg.registry import DATASETS

    return DATASETS.build(cfg.test_dataloader.dataset)


def normalised_images(cfg, model):
    return [model.data_preprocessor.normalize(item['inputs']) for item in dataset(cfg)]


def masks(cfg):
    return [item['data_samples'].gt_sem_seg.data for item in dataset(cfg)]
