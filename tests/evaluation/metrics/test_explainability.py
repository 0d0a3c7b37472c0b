"""The panel over a run: plain definitions, closed forms of its means, how processes share images, mistakes."""

import math

import shares
from mmseg_clipsurgery.evaluation.metrics.distributed_sum import fixed_point, from_fixed_point
from mmseg_clipsurgery.evaluation.metrics.explainability import ExplainabilityMetric

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

pytestmark = pytest.mark.mmseg
CLASSES = ('background', 'cat', 'dog')
SQUARE = torch.tensor([[0, 1], [1, 0]])


def sample(maps, truth, path='a.png') -> dict:
    found = SegDataSample(metainfo=dict(img_path=path))
    found.set_data({'class_maps': PixelData(data=maps), 'gt_sem_seg': PixelData(data=truth[None])})
    return found.to_dict() | {'img_path': path}


def metric(**settings) -> ExplainabilityMetric:
    found = ExplainabilityMetric(**settings)
    found.dataset_meta = {'classes': CLASSES}
    return found


def results(*samples: dict) -> dict[str, float]:
    found = metric()
    found.process({}, samples)
    return found.evaluate(len(samples))


def random_samples(count: int) -> list[dict]:
    torch.manual_seed(0)
    made = []
    for i in range(count):
        truth = torch.randint(0, 3, (5 + i % 3, 7))
        truth[0, 0] = 255
        made.append(sample(torch.randn(3, *truth.shape), truth, f'{i}.png'))
    return made


def perfect(truth: torch.Tensor, sign: int = 1) -> dict:
    return sample(sign * torch.stack([truth == k for k in range(3)]).float(), truth)


def ramp(p: float, count: int = 10) -> dict:
    """A cat that is the highest share p of a map that rises evenly."""
    truth = (torch.arange(count) >= round((1 - p) * count)).long()[None]
    return sample(torch.linspace(0, 1, count).expand(3, 1, count), truth)


def plain(samples: list[dict]) -> dict[str, float]:
    """The definitions, pair by pair and threshold by threshold."""
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
        'IoU_50': 100 * float(curve[50]),
        'threshold': int(curve.argmax()) / 100,
        'mSC': 100 * float(torch.stack(contrasts).mean()),
        'pairs': len(overlaps),
    }


def test_equals_the_plain_definition():
    samples = random_samples(6)
    found = metric()
    found.process({}, samples[:4])
    found.process({}, samples[4:])
    given, wanted = found.evaluate(6), plain(samples)
    assert {name: given[name] for name in wanted} == pytest.approx(wanted, abs=2e-3)


def test_a_perfect_map_is_100():
    found = metric()
    found.process({}, [perfect(SQUARE), perfect(SQUARE)])
    given = found.evaluate(2)
    apart = {'flat_AP': 50, 'threshold': 0.01, 'pairs': 2}
    assert given == {**dict.fromkeys(given, 100), **apart}
    assert [row['AP'] for row in found.per_class] == [None, 100, None]
    assert found.per_class[1] == {'class': 'cat', 'AP': 100, 'map_IoU': 100, 'SC': 100, 'pairs': 2}


def test_an_inverted_map_has_negative_contrast():
    found = results(perfect(SQUARE, sign=-1))
    assert (found['mSC'], found['AUROC'], found['AP'], found['map_mIoU']) == (-100, 0, 50, 50)


def test_a_flat_map_gets_what_is_stated_for_flat_maps():
    found = results(sample(torch.ones(3, 2, 2), torch.tensor([[0, 1], [0, 0]])))
    of_share = ('AP', 'flat_AP', 'AP_classes', 'map_mIoU', 'pointing', 'energy', 'energy_minmax')
    assert [found[name] for name in of_share] == [25] * len(of_share)
    assert (found['AUROC'], found['mSC'], found['IoU_50'], found['IoU_mean']) == (50, 0, 0, 0)


def test_scale_and_offset_of_a_map_do_not_matter():
    samples = random_samples(2)
    moved = [dict(one, class_maps={'data': 3 * one['class_maps']['data'] + 7}) for one in samples]
    found, wanted = results(*moved), results(*samples)
    del found['energy'], wanted['energy']  # by clipping it does depend on the shift
    assert found == pytest.approx(wanted, abs=2e-3)


def test_means_over_pairs_and_over_classes():
    truths = [SQUARE] * 3 + [SQUARE * 2]
    flat = sample(torch.zeros(3, 2, 2), truths[3])
    found = results(*map(perfect, truths[:3]), flat)
    assert (found['mSC'], found['mSC_classes']) == (75, 50)
    assert (found['AP'], found['AP_classes']) == (87.5, 75)


# samples -> (map_mIoU, threshold, map_mIoU_heldout): one threshold serves a run, a held-out one the other half
THRESHOLDS_OF = {
    'two shares in different halves': ([ramp(0.2), ramp(0.8)], 62.5, 25),
    'one share': ([ramp(0.2)] * 4, 100, 100),
    'both shares in both halves': ([ramp(0.2), ramp(0.2), ramp(0.8), ramp(0.8)], 62.5, 62.5),
}


@pytest.mark.parametrize(('samples', 'tuned', 'held_out'), THRESHOLDS_OF.values(), ids=THRESHOLDS_OF.keys())
def test_a_threshold_that_is_tuned_and_one_that_is_held_out(samples, tuned, held_out):
    found = results(*samples)
    assert (found['map_mIoU'], found['map_mIoU_heldout']) == (tuned, held_out)


def test_a_single_image_has_no_other_half():
    assert math.isnan(results(perfect(SQUARE))['map_mIoU_heldout'])


def test_a_class_that_fills_its_image_has_overlaps_alone():
    found = results(sample(torch.randn(3, 2, 2), torch.ones(2, 2).long()))
    assert all(math.isnan(found[name]) for name in ('AP', 'mSC', 'pointing', 'energy', 'AP_classes'))
    assert (found['pairs'], found['map_mIoU'], found['threshold']) == (1, 100, 0)
    assert 0 < found['IoU_mean'] < 100


def test_maps_of_the_classes_alone_that_the_mask_holds():
    """`test_cfg.maps='depicted'` leaves the others out and says which there are."""
    samples = random_samples(3)
    drawn = [
        dict(one, class_maps={'data': one['class_maps']['data'][[2, 1]]}, map_classes=[2, 1])
        for one in samples
    ]
    assert results(*drawn) == results(*samples)


def test_an_image_that_holds_no_class_adds_nothing():
    """Background and ignored pixels have no word: the run's figures are those of the other images."""
    without = [sample(torch.randn(3, 2, 2), torch.tensor([[0, 255], [0, 0]])) for _ in range(2)]
    samples = random_samples(2)
    assert results(*samples[:1], *without, *samples[1:]) == results(*samples)


@pytest.mark.parametrize('count', [1, 3, 5, 6])
def test_figures_do_not_depend_on_how_images_are_split(count, monkeypatch):
    samples = random_samples(count)
    single, *others = (shares.results_of_split(metric, samples, world, monkeypatch) for world in (1, 2, 3, 4))
    if count > 1:
        assert not any(math.isnan(value) for value in single.values())
    assert [str(other) for other in others] == [str(single)] * 3  # to the last digit; NaN is NaN


def test_sums_do_not_depend_on_their_order():
    torch.manual_seed(0)
    parts = list(torch.randn(50, 3, dtype=torch.float64))
    forth, back = (
        from_fixed_point(sum(map(fixed_point, some), torch.zeros(3).long())) for some in (parts, parts[::-1])
    )
    assert torch.equal(forth, back)
    assert torch.allclose(forth, torch.stack(parts).sum(dim=0), atol=1e-10)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param(lambda one: one.pop('class_maps'), 'test_cfg.maps=True', id='no maps'),
        pytest.param(
            lambda one: one.update(class_maps={'data': torch.zeros(2, 5, 7)}), '0.png: 2 maps', id='classes'
        ),
        pytest.param(
            lambda one: one.update(class_maps={'data': torch.zeros(3, 4, 7)}),
            r'0.png: the map \(4, 7\) of class [12] does not fit the mask \(5, 7\)',
            id='size',
        ),
        pytest.param(
            lambda one: one.update(class_maps={'data': torch.zeros(1, 5, 7)}, map_classes=[1]),
            '0.png: the map None of class 2 does not fit',
            id='a class without a map',
        ),
        pytest.param(
            lambda one: one['class_maps']['data'].fill_(float('nan')), '0.png: a map holds NaN', id='NaN'
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
