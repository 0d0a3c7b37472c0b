"""Figures of docs/scenes.md that no other command gives: what held-out pairs cost, and what patches of 8 pixels cost.

python -m pytest tests/scenes/test_held_out_and_patches.py -s        prints them
"""

from collections import Counter

import mmseg_clipsurgery
from mmseg_clipsurgery.evaluation.metrics.confusion import confusion_counts, group_means, mean_iou
from mmseg_clipsurgery.scenes import CLASSES, GROUNDS, OBJECTS, draw_scene
from mmseg_clipsurgery.vocabulary import Vocabulary

import numpy as np
import pytest
import torch
from torch.nn import functional

GROUPS = {'objects': OBJECTS, 'grounds': GROUNDS}


@pytest.fixture(scope='module')
def counted() -> dict[str, list[tuple[tuple[int, int], torch.Tensor]]]:
    """Split -> of each scene (number of objects, of grounds) and the confusion counts "k k" of its pixels."""
    model, words = mmseg_clipsurgery.load('scenes', batch=50), Vocabulary.read('scenes')
    found = {}
    for split in ('val', 'heldout'):
        scenes = [draw_scene(split, index) for index in range(200)]
        results = model.segment([scene.image for scene in scenes], words)
        found[split] = [
            (
                (len(scene.objects), len(scene.grounds)),
                confusion_counts(torch.tensor(scene.mask), torch.tensor(result.labels), len(CLASSES), 255),
            )
            for scene, result in zip(scenes, results, strict=True)
        ]
    return found


def figures(counts: torch.Tensor) -> dict[str, float]:
    """mIoU in percent, of all classes and of each group."""
    return {'mIoU': mean_iou(counts), **group_means(counts, CLASSES, GROUPS)}


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'first', 'least'), [('tints', 0, -8), ('grounds', 1, -4)])
def test_held_out_pairs_cost_little(counted, kind, first, least):
    held_out, seen = counted['heldout'][first::2], counted['val']
    wanted, there = (Counter(mix for mix, _ in scenes) for scenes in (held_out, seen))
    one = figures(sum(counts for _, counts in held_out))
    # each seen scene counts as often as makes the mix of numbers that of the held-out scenes
    other = figures(sum(counts.double() * wanted[mix] / there[mix] for mix, counts in seen))
    for name, scenes in ((f'held-out {kind}', one), ('seen pairs, as many objects and grounds', other)):
        print(f'{name}: ' + ', '.join(f'{key} {value:.2f}' for key, value in scenes.items()))
    assert one['mIoU_objects'] - other['mIoU_objects'] > least
    assert one['mIoU_objects'] > 60


@pytest.mark.slow
def test_labels_of_the_true_shares_of_patches_miss_the_edges():
    counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
    for index in range(200):
        mask = torch.from_numpy(draw_scene('val', index).mask.astype(np.int64))
        shares = functional.avg_pool2d(functional.one_hot(mask, len(CLASSES)).movedim(-1, 0)[None].float(), 8)
        labels = functional.interpolate(shares, size=mask.shape, mode='bilinear').argmax(1)[0]
        counts += confusion_counts(mask, labels, len(CLASSES), 255)
    found = figures(counts)
    print('true shares of patches: ' + ', '.join(f'{key} {value:.2f}' for key, value in found.items()))
    assert 85 < found['mIoU_objects'] < found['mIoU'] < 97
