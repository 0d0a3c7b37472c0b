"""The confusion matrix and its figures: by hand, properties, and without MMSeg."""

from mmseg_clipsurgery.evaluation.metrics.confusion import (
    areas_of,
    class_ious,
    confusion_counts,
    group_means,
    label_range,
    mean_iou,
)
from mmseg_clipsurgery.evaluation.metrics.segmentation import SegmentationMetric

import numpy as np
import pytest
import torch

NAMES = ('ground', 'cat', 'dog', 'unseen')


def label_maps(seed: int = 0, size: tuple[int, int] = (9, 7)) -> tuple[torch.Tensor, torch.Tensor]:
    """(truth, labels) of the first three classes, some of the truth ignored."""
    generator = torch.Generator().manual_seed(seed)
    truth, labels = torch.randint(3, (2, *size), generator=generator)
    truth[torch.rand(size, generator=generator) < 0.1] = 255
    return truth, labels


def counts_of(*seeds: int) -> torch.Tensor:
    return sum(confusion_counts(*label_maps(seed), len(NAMES), 255) for seed in seeds)


def test_counts_by_hand():
    truth = torch.tensor([[0, 0, 1], [1, 255, 2]], dtype=torch.uint8)
    labels = torch.tensor([[0, 1, 1], [1, 2, 0]])
    counts = confusion_counts(truth, labels, 3, 255)
    assert counts.dtype == torch.int64
    assert counts.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert [area.tolist() for area in areas_of(counts)] == [[1, 2, 0], [3, 3, 1], [2, 3, 0], [2, 2, 1]]
    assert class_ious(counts).tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert mean_iou(counts) == 33.33


def test_labels_outside_the_classes_are_left_out():
    truth, labels = torch.tensor([[0, 7, 1, -1]]), torch.tensor([[0, 0, 9, 1]])
    assert confusion_counts(truth, labels, 2, 255).sum() == 1
    assert label_range(truth, labels, 255).tolist() == [-1, 7, 0, 9]


def test_an_ignored_truth_hides_its_labels():
    truth, labels = torch.tensor([[0, 255]]), torch.tensor([[1, 99]])
    assert label_range(truth, labels, 255).tolist() == [0, 0, 0, 1]


def test_a_class_that_occurs_nowhere_has_no_iou_and_no_weight():
    counts = counts_of(1)
    assert np.isnan(class_ious(counts)[3])
    assert mean_iou(counts) == mean_iou(counts[:3, :3])


def test_permuting_the_classes_permutes_the_figures():
    counts, order = counts_of(1, 2), [2, 0, 3, 1]
    permuted = counts[order][:, order]
    assert class_ious(permuted) == pytest.approx(class_ious(counts)[order], nan_ok=True)
    groups = {'animals': ['cat', 'dog']}
    assert group_means(permuted, [NAMES[k] for k in order], groups) == group_means(counts, NAMES, groups)


def test_figures_are_those_of_the_metric():
    metric = SegmentationMetric(groups={'animals': ['cat', 'dog'], 'rest': ['ground', 'unseen']})
    metric.dataset_meta = dict(classes=NAMES)
    for seed in range(5):
        truth, labels = label_maps(seed)
        metric.process({}, [dict(pred_sem_seg={'data': labels[None]}, gt_sem_seg={'data': truth[None]})])
    found, counts = metric.evaluate(5), counts_of(*range(5))
    assert torch.equal(metric.confusion, counts)
    assert found['mIoU'] == mean_iou(counts)
    groups = group_means(counts, NAMES, metric.groups)
    assert {name: found[name] for name in groups} == groups
