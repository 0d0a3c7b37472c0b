"""`SegmentationMetric`: as MMSeg's IoUMetric, as one process, beyond 255 labels, and what it saves."""

from mmseg_clipsurgery.evaluation.metrics.segmentation import SegmentationMetric

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from PIL import Image
from torch import multiprocessing

CLASSES = ('background', 'cat', 'dog', 'sofa', 'unseen')


def sample(index: int, classes: int = 5, ignore: int = 255, folder: str = 'images') -> dict:
    """One image's labels and truth as the evaluator hands them over; class `classes - 1` occurs nowhere."""
    generator = torch.Generator().manual_seed(index)
    size = (1, 5 + index, 7)
    truth = torch.randint(classes - 1, size, generator=generator)
    labels = torch.where(torch.rand(size, generator=generator) < 0.6, truth, truth.flip(-1))
    truth[torch.rand(size, generator=generator) < 0.1] = ignore
    return dict(
        pred_sem_seg={'data': labels},
        gt_sem_seg={'data': truth},
        img_path=f'{folder}/{index}.jpg',
        reduce_zero_label=False,
    )


def metric(classes=CLASSES, **options) -> SegmentationMetric:
    made = SegmentationMetric(**options)
    made.dataset_meta = dict(classes=list(classes))
    return made


def evaluate(made, samples, batch: int = 2, size: int | None = None) -> dict:
    for start in range(0, len(samples), batch):
        made.process({}, samples[start : start + batch])
    return made.evaluate(len(samples) if size is None else size)


@pytest.mark.parametrize(
    'options', [{}, {'iou_metrics': ['mIoU', 'mDice', 'mFscore']}, {'nan_to_num': 0}], ids=str
)
def test_equals_mmseg(options: dict) -> None:
    samples = [sample(index) for index in range(7)]
    stock = IoUMetric(**options)
    stock.dataset_meta = dict(classes=CLASSES)
    expected = evaluate(stock, samples)
    got = evaluate(metric(**options), samples)
    assert list(got) == list(expected)
    assert got == pytest.approx({key: float(value) for key, value in expected.items()}, abs=0.011)


def test_per_class_groups_and_images() -> None:
    made = metric(groups={'animals': ['cat', 'dog'], 'all': CLASSES}, per_image=True)
    got = evaluate(made, [sample(index) for index in range(4)])
    iou = {row['class']: row['IoU'] for row in made.per_class}
    assert iou['unseen'] is None
    assert got['mIoU_animals'] == pytest.approx((iou['cat'] + iou['dog']) / 2, abs=0.01)
    assert got['mIoU_all'] == got['mIoU']
    assert [row['image'] for row in made.per_image_rows] == [f'images/{index}.jpg' for index in range(4)]
    alone = metric()
    assert made.per_image_rows[2]['mIoU'] == pytest.approx(evaluate(alone, [sample(2)])['mIoU'], abs=0.01)


def test_a_second_evaluation_starts_from_nothing() -> None:
    made = metric()
    first = evaluate(made, [sample(1), sample(2)])
    evaluate(made, [sample(3)])
    assert evaluate(made, [sample(1), sample(2)]) == first


def test_labels_beyond_255_are_counted() -> None:
    names = [f'class {index}' for index in range(600)]
    one = sample(0, classes=600, ignore=65535)
    made = metric(names, ignore_index=65535)
    got = evaluate(made, [one])
    truth, labels = one['gt_sem_seg']['data'], one['pred_sem_seg']['data']
    counted = truth != 65535
    assert truth[counted].max() > 255
    assert got['aAcc'] == pytest.approx(100 * float((truth == labels)[counted].float().mean()), abs=0.01)


DIVISIONS = [(7, True), (7, False), (6, True), (1, True), (1, False)]  # images, whether the sampler fills up


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
        made = metric(per_image=True, groups={'animals': ['cat', 'dog']})
        got = evaluate(made, [sample(index) for index in indices], batch=3, size=images)
        results[images, round_up] = (got, made.per_class, sorted(row['image'] for row in made.per_image_rows))
    torch.save(results, f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp('processes')
    multiprocessing.start_processes(_one_of_two_processes, (str(folder),), nprocs=2, start_method='fork')
    return [torch.load(folder / f'{rank}.pt', weights_only=True) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize(('images', 'round_up'), DIVISIONS)
def test_two_processes_equal_one(two_processes: list[dict], images: int, round_up: bool) -> None:
    made = metric(groups={'animals': ['cat', 'dog']})
    expected = evaluate(made, [sample(index) for index in range(images)])
    for results in two_processes:
        got, per_class, names = results[images, round_up]
        assert str(got) == str(expected)
        assert str(per_class) == str(made.per_class)
        assert names == [f'images/{index}.jpg' for index in range(images)]


def test_masks_are_saved_in_the_encoding_of_the_data_set(tmp_path) -> None:
    for name, classes, reduce_zero, mode in [
        ('8', 5, True, 'L'),
        ('16', 300, False, 'I;16'),
        ('edge', 255, True, 'I;16'),
    ]:
        one = sample(3, classes) | {'reduce_zero_label': reduce_zero}
        names = [f'class {index}' for index in range(classes)]
        made = metric(names, ignore_index=65535, format_only=True, output_dir=str(tmp_path / name))
        assert evaluate(made, [one]) == {}
        image = Image.open(tmp_path / name / '3.png')
        assert image.mode == mode
        assert np.array_equal(np.asarray(image), one['pred_sem_seg']['data'][0].numpy() + int(reduce_zero))


def test_scores_are_saved_as_half_floats(tmp_path) -> None:
    scores = torch.rand(5, 8, 7)
    evaluate(metric(scores_dir=str(tmp_path)), [sample(3) | {'seg_logits': {'data': scores}}])
    with np.load(tmp_path / '3.npz') as file:
        assert file['scores'].dtype == np.float16
        assert np.allclose(file['scores'], scores, atol=1e-3)


def test_equal_names_in_two_folders_are_kept_apart(tmp_path) -> None:
    samples = [sample(1, folder='root/a'), sample(1, folder='root/b')]
    with pytest.raises(ValueError, match=r'would both be saved as 1\.png.*image_root'):
        evaluate(metric(output_dir=str(tmp_path)), samples)
    evaluate(metric(output_dir=str(tmp_path / 'apart'), image_root='root'), samples)
    assert {path.parent.name for path in tmp_path.glob('apart/*/1.png')} == {'a', 'b'}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(
            {'ignore_index': 2}, "ignore_index 2 is also the class 'dog'.*65535", id='ignored class'
        ),
        pytest.param(
            {'groups': {'pets': ['cat', 'hamster']}},
            "'pets'.*hamster.*classes",
            id='unknown group member',
        ),
        pytest.param({'groups': {'pets': []}}, "'pets'.*no class", id='empty group'),
    ],
)
def test_settings_that_do_not_fit_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(**options)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param(
            {'gt_sem_seg': {'data': torch.full((1, 6, 7), 9)}},
            r'images/1.jpg: the mask holds label 9.*0\.\.4',
            id='truth',
        ),
        pytest.param(
            {'pred_sem_seg': {'data': torch.full((1, 6, 7), -1)}},
            'the prediction holds label -1',
            id='prediction',
        ),
        pytest.param(
            {'gt_sem_seg': {'data': torch.zeros(1, 5, 7)}},
            'of images/1.jpg have different sizes.*5x7 and 6x7',
            id='size',
        ),
    ],
)
def test_samples_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(metric(), [sample(1) | change])


def test_a_model_without_scores_is_an_error(tmp_path) -> None:
    with pytest.raises(ValueError, match=r'test_cfg\.scores=True'):
        evaluate(metric(scores_dir=str(tmp_path)), [sample(1)])


def test_a_process_that_sees_every_image_is_an_error() -> None:
    with pytest.raises(ValueError, match='evaluated 4 images and its share of 2 is 2: set drop_last=False'):
        evaluate(metric(), [sample(index) for index in range(4)], size=2)


def test_mmseg_builds_it_by_name() -> None:
    assert isinstance(METRICS.build(dict(type='SegmentationMetric')), SegmentationMetric)
