"""Sections `image` and `slide`: from pixels to labels, against CLIP itself and against the published steps.

image   512 x 512, whole, no rules; 59 and 171 classes; the tower also alone
slide   photos of 336 x 448, six windows of 224, the 56 words of `voc21`, both rules, labels at the original size

Every variant of a round takes the same photo. Short cuts that depend on the data are shown at their worst too: once
with white noise for a photo, once with white noise for logits (the tower still runs).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.structures import SegDataSample
from torch import Tensor

from . import counts, published
from .clock import Clock, Cost, ratios, rounded, summary
from .counts import Count, Tower
from .subjects import Subjects, indices, pixels

VOCABULARIES = {59: 'context59', 171: 'coco_stuff164k'}
SLIDE = dict(mode='slide', crop_size=224, stride=112, logit_scale=65.0, prob_thd=0.1, area_thd=0.1)
Call = Callable[[int], Any]


@torch.inference_mode()
def image(subjects: Subjects, clock: Clock, rounds: int, side: int = 512) -> dict[str, Any]:
    """Whole images, no rules."""
    size = (side, side)
    photos = indices(subjects.photos, rounds)
    images = [subjects.normalised(subjects.photos[i], size) for i in photos]
    noise = torch.randn(3, *size, generator=torch.Generator().manual_seed(1)).to(subjects.device)
    tower, plain, text = subjects.tower, subjects.plain(size), {}
    variants: dict[str, Call] = {
        'plain': lambda r: plain(images[r][None]),
        'tower': lambda r: tower(images[r][None]),
        'tower, patches only': lambda r: tower(images[r][None], class_token=False),
    }
    for classes, vocabulary in VOCABULARIES.items():
        ours, worst = (subjects.segmentor(vocabulary, noise=worst) for worst in (False, True))
        text[classes] = ours.text_encoder.queries.embeddings
        variants |= {
            f'labels, {classes}': lambda r, model=ours: model.predict([images[r]]),
            f'labels, {classes}, noise image': lambda r, model=ours: model.predict([noise]),
            f'labels, {classes}, noise logits': lambda r, model=worst: model.predict([images[r]]),
            f'published, {classes}': lambda r, k=classes: published.labels(
                tower.visual, images[r][None], text[k], tower.heads, tower.surgery.last_blocks
            ),
        }
    costs = clock.rounds(variants, rounds, 'image')
    pairs = {f'published / labels, {k}': (f'published, {k}', f'labels, {k}') for k in VOCABULARIES}
    result = compared(costs, 'plain', image_counts(subjects, size), pairs)
    result['agreement'] = agreement(subjects, images[0])
    return result


def agreement(subjects: Subjects, image: Tensor) -> dict[str, float]:
    """How far the published steps' patch tokens and ours are apart at most; they have unit length."""
    tower = subjects.tower
    theirs = published.surgery_tokens(tower.visual, image[None], tower.heads, tower.surgery.last_blocks)
    ours = tower(image[None], class_token=False).patch_tokens[0].flatten(1).T
    return {
        'largest difference of tokens': rounded(
            float((F.normalize(ours, dim=-1) - theirs[0, 1:]).abs().max())
        )
    }


def image_counts(subjects: Subjects, size: tuple[int, int]) -> dict[str, Count]:
    tower, blocks = Tower.of(subjects.tower), subjects.tower.surgery.last_blocks
    n = tower.tokens(size)
    grid = (size[0] // tower.patch, size[1] // tower.patch)
    found = {
        'plain': tower.plain(size),
        'tower': tower.surgery(size, blocks, class_token=True),
        'tower, patches only': tower.surgery(size, blocks),
    }
    for classes in VOCABULARIES:
        labels = counts.similarity(n - 1, classes, tower.joint) + counts.row_chunks(grid, size, classes)
        for name in ('', ', noise image', ', noise logits'):
            found[f'labels, {classes}{name}'] = found['tower, patches only'] + labels
        found[f'published, {classes}'] = tower.published(size, blocks) + counts.published_labels(
            n, tower.joint, classes, size
        )
    return found


@torch.inference_mode()
def slide(subjects: Subjects, clock: Clock, rounds: int, short: int = 336) -> dict[str, Any]:
    """The leaderboard's protocol on VOC: from the photo, as the data loader hands it over, to labels."""
    photos, size = subjects.photos, (short, short * 4 // 3)
    chosen = [photos[i] for i in indices(photos, rounds, photos.landscape)]
    raw = [pixels(photo, size) for photo in chosen]
    shapes = [photo.shape[:2] for photo in chosen]
    noise = torch.randint(0, 256, (3, *size), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    ours, worst = (subjects.segmentor('voc21', noise=worst, **SLIDE) for worst in (False, True))
    windows = [windows_of(subjects.normalised(photo, size)) for photo in chosen]
    plain, queries = subjects.plain((224, 224)), ours.text_encoder.queries

    def predict(model: Any, image: Tensor, shape: tuple[int, ...]) -> Tensor:
        data = dict(inputs=[image], data_samples=[SegDataSample(metainfo=dict(ori_shape=shape))])
        return model.test_step(data)[0].pred_sem_seg.data[0]

    def loop(r: int) -> Tensor:
        (image,) = ours.data_preprocessor(dict(inputs=[raw[r]]))['inputs']
        return published.window_loop(encode, image, queries.embeddings, queries.class_of, shapes[r])

    def encode(window: Tensor) -> Tensor:
        return subjects.tower(window, class_token=False).patch_tokens

    costs = clock.rounds(
        {
            'plain': lambda r: plain(windows[r]),
            'plain, one by one': lambda r: [plain(window[None]) for window in windows[r]],
            'labels': lambda r: predict(ours, raw[r], shapes[r]),
            'labels, noise image': lambda r: predict(ours, noise, shapes[r]),
            'labels, noise logits': lambda r: predict(worst, raw[r], shapes[r]),
            'window by window': loop,
        },
        rounds,
        'slide',
    )
    result = compared(
        costs,
        'plain',
        slide_counts(subjects, windows[0].shape, shapes[0], len(queries.embeddings)),
        {'window by window / labels': ('window by window', 'labels')},
    )
    same = (loop(0) == predict(ours, raw[0], shapes[0])).float().mean()
    result['agreement'] = {'share of equal labels, window by window': rounded(float(same))}
    return result


def windows_of(image: Tensor, crop: int = 224, stride: int = 112) -> Tensor:
    """The windows "b 3 crop crop" of a normalised image "3 H W", for the plain tower."""
    tops, lefts = (published.starts(side, crop, stride) for side in image.shape[1:])
    return torch.stack([image[:, y : y + crop, x : x + crop] for y in tops for x in lefts])


def slide_counts(
    subjects: Subjects,
    windows: tuple[int, ...],
    shape: tuple[int, ...],
    queries: int,
    images: int = 1,
    window_batch: int = 16,
) -> dict[str, Count]:
    """Counts of the variants of `slide`.

    Args:
        subjects: has the tower.
        windows: shape "b 3 h w" of the windows of all images, three columns of two rows each.
        shape: (H, W) of the labels.
        queries: text queries.
        images: how many.
        window_batch: windows for which the weights are read once.
    """
    tower, blocks = Tower.of(subjects.tower), subjects.tower.surgery.last_blocks
    count, size = windows[0], (windows[2], windows[3])
    side = size[0] // tower.patch
    again = tower.weights().times(-(-count // window_batch) - 1)
    read = tower.surgery(size, blocks, windows=count) + again
    strips = counts.row_chunks((2 * side, 3 * side), (shape[0], shape[1]), queries, sources=4)
    labels = counts.similarity(count * side**2, queries, tower.joint) + strips.times(images)
    return {
        'plain': tower.plain(size, count),
        'plain, one by one': tower.plain(size).times(count),
        'labels': read + labels,
        'labels, noise image': read + labels,
        'labels, noise logits': read + labels,
        'window by window': tower.surgery(size, blocks).times(count) + labels,
    }


def compared(
    costs: Mapping[str, list[Cost]],
    baseline: str,
    on_paper: Mapping[str, Count],
    pairs: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    """What is written of a section: each variant's seconds and ratio to the baseline, and the ratios of pairs."""
    variants = {}
    for name, list_ in costs.items():
        count = on_paper[name]
        variants[name] = {
            'seconds': summary([cost.seconds for cost in list_]),
            'wall': summary([cost.wall for cost in list_]),
            'ratio': ratios(list_, costs[baseline]),
            'gflop': round(count.flop / 1e9, 1),
            'gbyte': round(count.bytes / 1e9, 2),
        }
    return {
        'baseline': baseline,
        'variants': variants,
        'pairs': {name: ratios(costs[one], costs[other]) for name, (one, other) in pairs.items()},
    }
