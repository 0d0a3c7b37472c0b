"""mAP of recognition: labels from masks, processes, mistakes, and the whole test loop."""

import mini_voc
import photos
import tiny
from mmseg_clipsurgery.evaluation.metrics.average_precision import average_precision
from mmseg_clipsurgery.evaluation.metrics.recognition_map import RecognitionMAP, classes_present
from mmseg_clipsurgery.recognition import recognition_scores

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import DATASETS, MODELS
from torch import multiprocessing

pytestmark = pytest.mark.mmseg


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


def test_map_is_the_mean_over_classes_that_occur_without_the_background():
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
    torch.set_num_threads(1)  # threads do not survive a fork
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


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    multiprocessing.start_processes(_one_of_two_processes, (str(tmp_path),), nprocs=2, start_method='fork')
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
def test_samples_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        metric().process(None, [wrong])


@pytest.mark.slow
def test_the_test_loop_gives_what_the_model_says_of_each_image(tmp_path):
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
    return DATASETS.build(cfg.test_dataloader.dataset)


def normalised_images(cfg, model):
    return [model.data_preprocessor.normalize(item['inputs']) for item in dataset(cfg)]


def masks(cfg):
    return [item['data_samples'].gt_sem_seg.data for item in dataset(cfg)]
