"""Section `scaling`: cost against tokens, classes, templates and images; against processes see `processes`.

tokens      whole images of growing size: plain tower, our tower, labels of 59 classes
classes     the step from grid logits to labels of a 512 x 512 image, for photos and for white noise
templates   seconds to encode a group of words
images      batches of 1 to 16 photos, slide protocol; and the memory of a long run in a process of its own
"""

import json
import os
import sys
import time
from typing import Any

from mmseg_clipsurgery.clip.text_encoder import OpenCLIPTextEncoder
from mmseg_clipsurgery.vocabulary import Vocabulary, read_templates

import torch
from mmseg.structures import SegDataSample

from . import counts
from .clock import Clock, Cost, ratios, rounded, summary
from .counts import Tower
from .memory import MIB, give_back, in_fresh_process, resident
from .prediction import SLIDE, slide_counts
from .subjects import Photos, Subjects, indices, pixels
from .text import TEMPLATES, averaged, token_ids

SIDES = (224, 320, 448, 512, 640, 768, 896)
VOCABULARIES = {20: 'voc20', 59: 'context59', 171: 'coco_stuff164k', 459: 'context459', 847: 'ade20k_847'}
TEMPLATE_COUNTS = (1, 7, 20, 40, 85)
BATCHES = (1, 2, 4, 8, 16)
CHECKPOINTS = (1, 10, 30, 100)


@torch.inference_mode()
def tokens(
    subjects: Subjects, clock: Clock, rounds: int, sides: tuple[int, ...] = SIDES
) -> list[dict[str, Any]]:
    """Whole square images."""
    model = subjects.segmentor('context59')
    variants, paper = {}, Tower.of(subjects.tower)
    blocks = subjects.tower.surgery.last_blocks
    for side in sides:
        image, plain = subjects.normalised(subjects.photos[0], (side, side)), subjects.plain((side, side))
        variants |= {
            f'plain {side}': lambda r, plain=plain, image=image: plain(image[None]),
            f'tower {side}': lambda r, image=image: subjects.tower(image[None], class_token=False),
            f'labels {side}': lambda r, image=image: model.predict([image]),
        }
    costs = clock.rounds(variants, rounds, 'tokens')
    points = []
    for side in sides:
        size = (side, side)
        read = paper.surgery(size, blocks)
        labels = counts.row_chunks((side // paper.patch,) * 2, size, 59)
        points.append(
            {
                'side': side,
                'tokens': paper.tokens(size),
                'plain': cost_of(costs[f'plain {side}'], paper.plain(size)),
                'tower': cost_of(costs[f'tower {side}'], read),
                'labels': cost_of(costs[f'labels {side}'], read + labels),
                'ratio': ratios(costs[f'labels {side}'], costs[f'plain {side}']),
            }
        )
    return points


def cost_of(costs: list[Cost], count: counts.Count) -> dict[str, Any]:
    return {
        'seconds': summary([cost.seconds for cost in costs]),
        'wall': summary([cost.wall for cost in costs]),
        'gflop': rounded(count.flop / 1e9),
        'gbyte': rounded(count.bytes / 1e9),
    }


@torch.inference_mode()
def classes(subjects: Subjects, clock: Clock, rounds: int, side: int = 512) -> list[dict[str, Any]]:
    """Grid logits to labels, no rules: what a larger vocabulary costs. The tower's cost stands above."""
    image = subjects.normalised(subjects.photos[0], (side, side))
    variants = {}
    for count, vocabulary in VOCABULARIES.items():
        for noise in (False, True):
            model = subjects.segmentor(vocabulary, noise=noise)
            queries = model.text_encoder.queries
            predictor = model.predictor
            logits, rule = predictor.logits([image], queries)[0], predictor.post_process(queries)
            variants[f'{count} {noise}'] = lambda r, rule=rule, logits=logits: rule.label_logits(logits)
    costs = clock.rounds(variants, rounds, 'classes')
    grid = (side // subjects.tower.patch,) * 2
    return [
        {
            'classes': count,
            'photo': cost_of(costs[f'{count} False'], counts.row_chunks(grid, (side, side), count)),
            'noise': cost_of(costs[f'{count} True'], counts.row_chunks(grid, (side, side), count)),
        }
        for count in VOCABULARIES
    ]


@torch.inference_mode()
def templates(subjects: Subjects, clock: Clock, rounds: int, words: int = 19) -> list[dict[str, Any]]:
    """Words times a growing number of templates, neither kept nor cached."""
    every = read_templates(TEMPLATES)
    names = Vocabulary.read('coco_stuff164k').queries[:words]
    variants, on_paper, encoder = {}, {}, subjects.text
    for count in TEMPLATE_COUNTS:
        ids = token_ids(encoder, names, every[:count])
        variants[str(count)] = lambda r, ids=ids: averaged(encoder, ids)
        on_paper[count] = counts.TextTower.of(encoder).encode(text_batches(encoder, ids))
    costs = clock.rounds(variants, rounds, 'templates')
    return [
        {'templates': count, 'words': words, **cost_of(costs[str(count)], on_paper[count])}
        for count in TEMPLATE_COUNTS
    ]


def text_batches(encoder: OpenCLIPTextEncoder, ids: torch.Tensor) -> list[tuple[int, int]]:
    """(texts, tokens of each) of the batches in which token ids "k t l" are encoded."""
    ends = encoder.end_positions(ids.flatten(0, 1)).sort().values
    return [(len(ends[part]), int(ends[part].max()) + 1) for part in encoder.batches(ends)]


@torch.inference_mode()
def batches(subjects: Subjects, clock: Clock, rounds: int) -> list[dict[str, Any]]:
    """Photos of 336 x 448 in one batch of the data loader, to labels at the original size."""
    photos, model = subjects.photos, subjects.segmentor('voc21', **SLIDE)
    chosen = [photos[i] for i in indices(photos, max(BATCHES), photos.landscape)]
    images = [pixels(photo, (336, 448)) for photo in chosen]

    def predict(count: int) -> None:
        samples = [SegDataSample(metainfo=dict(ori_shape=photo.shape[:2])) for photo in chosen[:count]]
        model.test_step(dict(inputs=images[:count], data_samples=samples))

    costs = clock.rounds({str(n): lambda r, n=n: predict(n) for n in BATCHES}, rounds, 'images')
    queries, shape = len(model.text_encoder.queries.embeddings), chosen[0].shape[:2]
    points = []
    for n in BATCHES:
        each = [Cost(one.seconds / n, one.wall / n) for one in costs[str(n)]]
        windows = (6 * n, 3, 224, 224)
        paper = slide_counts(subjects, windows, shape, queries, images=n)['labels'].times(1 / n)
        points.append({'images': n, **cost_of(each, paper)})
    return points


def long_run(task: dict[str, Any]) -> list[dict[str, float]]:
    """Photos one after the other in a fresh process: processor seconds and peak memory above the weights so far."""
    return in_fresh_process('benchmarks.scaling', task)['points']


@torch.inference_mode()
def follow(task: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(task['threads'])
    subjects = Subjects(task['arch'], torch.device(task['device']), Photos(task['photos']))
    model = subjects.segmentor('voc21', **SLIDE)
    give_back()
    before, begun, points = resident(reset=True), time.process_time(), []
    for number in range(1, task['images'] + 1):
        photo = subjects.photos[number - 1]
        sample = SegDataSample(metainfo=dict(ori_shape=photo.shape[:2]))
        factor = 336 / min(photo.shape[:2])
        size = (round(photo.shape[0] * factor), round(photo.shape[1] * factor))
        model.test_step(dict(inputs=[pixels(photo, size)], data_samples=[sample]))
        if number in CHECKPOINTS or number == task['images']:
            points.append(
                {
                    'images': number,
                    'seconds': rounded(time.process_time() - begun),
                    'peak_mib': rounded((resident() - before) / MIB),
                }
            )
    return {'points': points}


if __name__ == '__main__':
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    print(json.dumps(follow(json.loads(sys.argv[1]))))
