"""Point labels: closed forms of point mIoU, AP over points, processes, mistakes."""

import shares
from mmseg_clipsurgery.evaluation.metrics.point_labels import PointExplainabilityMetric

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.mmseg
CLASSES = ('cat', 'dog')
NONE = np.zeros((0, 2), dtype=np.int64)


def metric(**settings) -> PointExplainabilityMetric:
    found = PointExplainabilityMetric(**settings)
    found.dataset_meta = {'classes': CLASSES}
    return found


def row(*columns: int) -> np.ndarray:
    """Points (y, x) in the first row."""
    return np.array([(0, x) for x in columns], dtype=np.int64).reshape(-1, 2)


def sample(values: list[float], points: dict) -> dict:
    """An image of one row, whose classes all have the same map."""
    maps = torch.tensor(values)[None, None].expand(len(CLASSES), 1, len(values))
    return {'class_maps': {'data': maps}, 'gt_points': points, 'img_path': 'a.png'}


def results(*samples: dict, **settings) -> dict[str, float]:
    found = metric(**settings)
    found.process({}, samples)
    return found.evaluate(len(samples))


YES, NO = row(0, 1, 2, 3, 4, 5), row(6, 7, 8, 9)  # six and four of ten pixels
# name -> (map over ten pixels, foreground's IoU, mean with the background's, AP)
CLOSED = {
    'perfect': ([1] * 6 + [0] * 4, 100, 100, 100),
    'all yes': ([1] * 10 + [0], 60, 30, 60),
    'flat': ([0.3] * 10, 0, 20, 60),
    'inverted': ([0] * 6 + [1] * 4, 0, 0, 60),
    '3 of 6 found, 1 of 4 taken': ([1, 1, 1, 0, 0, 0, 1, 0, 0, 0], 300 / 7, (300 / 7 + 300 / 7) / 2, 67.5),
}


@pytest.mark.parametrize(('values', 'iou', 'both', 'ap'), CLOSED.values(), ids=CLOSED.keys())
def test_closed_forms(values, iou, both, ap):
    found = results(sample([float(value) for value in values], {0: (YES, NO)}))
    assert found == pytest.approx(
        {
            'point_mIoU': iou,
            'point_mIoU_both': both,
            'point_AP': ap,
            'point_flat_AP': 60,
            'points': 10,
            'pairs': 1,
        },
        abs=1e-3,
    )


def test_points_of_all_images_are_counted_together():
    """One of one found and none of three: 1 / 4, where a mean over images would be 1 / 2."""
    first = sample([1.0, 0.0, 0.0, 0.0], {0: (row(0), NONE)})
    second = sample([1.0, 0.0, 0.0, 0.0], {0: (row(1, 2, 3), NONE)})
    found = results(first, second)
    assert found['point_mIoU'] == 25
    assert np.isnan(found['point_AP'])  # no negative point


def test_only_classes_with_a_positive_point_have_a_map():
    only = sample([1.0, 0.0], {0: (row(0), row(1)), 1: (NONE, row(0))})
    found = metric()
    found.process({}, [only])
    assert found.evaluate(1)['point_mIoU'] == 100
    assert [one['point_IoU'] for one in found.per_class] == [100, None]


def test_the_mean_is_over_classes():
    found = results(sample([1.0, 0.0, 0.0], {0: (row(0), row(1)), 1: (row(1, 2), NONE)}))
    assert (found['point_mIoU'], found['pairs']) == (50, 2)


def test_a_background_has_no_map():
    some = sample([1.0, 0.0], {0: (row(1), row(0)), 1: (row(0), row(1))})
    assert results(some, without=('cat',))['point_mIoU'] == 100


def test_tensors_of_points_will_do():
    points = {0: (torch.from_numpy(YES), torch.from_numpy(NO))}
    assert results(sample([1.0] * 6 + [0.0] * 4, points))['point_mIoU'] == 100


def test_maps_of_the_classes_alone_that_have_points():
    given = sample([1.0] * 6 + [0.0] * 4, {1: (YES, NO)})
    drawn = dict(given, class_maps={'data': given['class_maps']['data'][1:]}, map_classes=[1])
    assert results(drawn) == results(given)


def test_figures_do_not_depend_on_how_images_are_split(monkeypatch):
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(5):
        columns = rng.permutation(10)
        points = {0: (row(*columns[:4]), row(*columns[4:7])), 1: (row(*columns[7:]), row(*columns[:2]))}
        samples.append(sample(rng.random(10).tolist(), points))
    single, *others = (shares.results_of_split(metric, samples, world, monkeypatch) for world in (1, 2, 3))
    assert others == [single] * 2


MISTAKES = {
    'no points': (dict(gt_points=None), 'no gt_points'),
    'no maps': (dict(class_maps=None), 'test_cfg.maps=True'),
    'beside the photo': (dict(gt_points={0: (row(10), NONE)}), 'a.png: a point lies beside .* 1 x 10'),
    'below 0': (dict(gt_points={0: (row(-1), NONE)}), 'beside the photo'),
    'shares of the photo': (dict(gt_points={0: (np.array([[0.5, 0.5]]), NONE)}), 'whole .* got float64'),
    'three numbers': (dict(gt_points={0: (np.array([[1, 2, 3]]), NONE)}), r'"n 2", got int64 \(1, 3\)'),
    'no map of the class': (dict(class_maps={'data': torch.zeros(1, 1, 9)}, map_classes=[1]), 'and no map'),
    'a class too many': (dict(gt_points={2: (YES, NO)}), 'points of class 2, of 2 classes'),
}


@pytest.mark.parametrize(('change', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_errors_say_what_to_do(change, message):
    given = {**sample([0.0] * 10, {0: (YES, NO)}), **change}
    with pytest.raises(ValueError, match=message):
        metric().process({}, [{key: value for key, value in given.items() if value is not None}])


def test_no_positive_point_at_all_is_an_error():
    found = metric()
    found.process({}, [sample([0.0, 1.0], {0: (NONE, row(0))})])
    with pytest.raises(ValueError, match='nothing to explain'):
        found.evaluate(1)
