"""mIoU and mSC of similarity maps: known cases, a plain loop, constant memory, processes."""

from mmseg_clipsurgery.evaluation.metrics import distributed_sum
from mmseg_clipsurgery.evaluation.metrics.explainability import (
    THRESHOLDS,
    ExplainabilityMetric,
    overlap_curve,
    pair_counts,
)

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

pytestmark = pytest.mark.mmseg
CLASSES = ('background', 'cat', 'dog')


def sample(maps, truth, path='a.png') -> dict:
    found = SegDataSample(metainfo=dict(img_path=path))
    found.set_data({'class_maps': PixelData(data=maps), 'gt_sem_seg': PixelData(data=truth[None])})
    return found.to_dict() | {'img_path': path}


def metric(**settings) -> ExplainabilityMetric:
    found = ExplainabilityMetric(**settings)
    found.dataset_meta = {'classes': CLASSES}
    return found


def random_samples(count: int) -> list[dict]:
    torch.manual_seed(0)
    made = []
    for i in range(count):
        truth = torch.randint(0, 3, (5 + i % 3, 7))
        truth[0, 0] = 255
        made.append(sample(torch.randn(3, *truth.shape), truth, f'{i}.png'))
    return made


def plain(samples: list[dict]) -> dict[str, float]:
    """The docstring's definitions, pair by pair and threshold by threshold."""
    overlaps, contrasts = [], []
    for one in samples:
        maps, truth = one['class_maps']['data'].double(), one['gt_sem_seg']['data'][0]
        kept = truth != 255
        for k in (1, 2):
            inside = (truth == k)[kept]
            if not inside.any():
                continue
            values = maps[k][kept]
            values = (values - values.min()) / (values.max() - values.min())
            contrasts.append(values[inside].mean() - values[~inside].mean())
            masks = [values >= i / 100 - 1e-9 for i in range(101)]
            overlaps.append([float((m & inside).sum() / (m | inside).sum()) for m in masks])
    curve = torch.tensor(overlaps).mean(dim=0)
    return {
        'map_mIoU': 100 * float(curve.max()),
        'threshold': int(curve.argmax()) / 100,
        'mSC': 100 * float(torch.stack(contrasts).mean()),
        'pairs': len(overlaps),
    }


def test_equals_the_plain_definition():
    samples = random_samples(6)
    found = metric()
    found.process({}, samples[:4])
    found.process({}, samples[4:])
    assert found.evaluate(6) == pytest.approx(plain(samples), abs=2e-3)


def test_a_perfect_map_is_100():
    truth = torch.tensor([[0, 1], [1, 0]])
    found = metric()
    found.process({}, [sample(torch.stack([truth == k for k in range(3)]).float(), truth)])
    result = found.evaluate(1)
    assert result['map_mIoU'] == result['mSC'] == 100
    assert result['pairs'] == 1
    assert [row['map_IoU'] for row in found.per_class] == [None, 100.0, None]


def test_an_inverted_map_has_negative_contrast():
    truth = torch.tensor([[0, 1], [1, 0]])
    found = metric()
    found.process({}, [sample(-torch.stack([truth == k for k in range(3)]).float(), truth)])
    assert found.evaluate(1)['mSC'] == -100


def test_scale_and_offset_of_a_map_do_not_matter():
    samples = random_samples(2)
    moved = [dict(one, class_maps={'data': 3 * one['class_maps']['data'] + 7}) for one in samples]
    results = []
    for some in (samples, moved):
        found = metric()
        found.process({}, some)
        results.append(found.evaluate(2))
    assert results[0] == pytest.approx(results[1], abs=2e-3)


def test_a_flat_map_counts_as_nothing():
    truth = torch.tensor([[0, 1], [1, 1]])
    counts = pair_counts(torch.ones(3, 2, 2), truth, 255, [1, 2])
    assert counts[1, 0] == 0.75
    assert counts[1, 1:THRESHOLDS].sum() == 0
    assert counts[1, -3] == 0


def test_a_class_that_fills_its_image_has_no_contrast():
    counts = pair_counts(torch.randn(3, 2, 2), torch.ones(2, 2).long(), 255, [1, 2])
    assert counts[1, -2] == 0
    assert counts[1, -1] == 1


def test_the_overlap_curve_falls_onto_the_reached_values():
    curve = overlap_curve(torch.tensor([0.0, 0.5, 1.0]).double(), torch.tensor([False, True, True]))
    assert curve[0] == pytest.approx(2 / 3)
    assert curve[50] == 1
    assert curve[51] == 0.5
    assert curve[100] == 0.5


def test_processes_and_repeated_images_change_nothing(monkeypatch):
    samples = random_samples(3)
    single = metric()
    single.process({}, samples)
    wanted = single.evaluate(3)
    shares = {0: [samples[0], samples[2]], 1: [samples[1], samples[0]]}  # the sampler repeats image 0
    totals = []
    for rank, share in shares.items():
        monkeypatch.setattr(distributed_sum, 'get_dist_info', lambda rank=rank: (rank, 2))
        found = metric()
        found.process({}, share)
        nothing = torch.zeros(3, THRESHOLDS + 3, dtype=torch.float64)
        totals.append(found._sum.total(3, nothing))
    assert metric().compute_metrics(totals) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param(lambda one: one.pop('class_maps'), 'test_cfg.maps=True', id='no maps'),
        pytest.param(
            lambda one: one.update(class_maps={'data': torch.zeros(2, 5, 7)}), '0.png: maps', id='classes'
        ),
        pytest.param(
            lambda one: one.update(class_maps={'data': torch.zeros(3, 4, 7)}), 'do not fit', id='size'
        ),
    ],
)
def test_errors_say_what_to_do(change, message):
    one = random_samples(1)[0]
    change(one)
    with pytest.raises(ValueError, match=message):
        metric().process({}, [one])


def test_masks_without_classes_are_an_error():
    found = metric()
    found.process({}, [sample(torch.zeros(3, 2, 2), torch.zeros(2, 2).long())])
    with pytest.raises(ValueError, match='nothing to explain'):
        found.evaluate(1)
