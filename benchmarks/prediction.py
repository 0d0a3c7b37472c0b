"""Sections from pixels to labels: against CLIP itself and against the published steps.

image       512 x 512, whole, no rules; 59 and 171 classes; the tower also alone
slide       photos of 336 x 448, six windows of 224, the 56 words of `voc21`, both rules, labels at 375 x 500
read_many   six windows under all surgeries: at once, and one after the other

Every variant of a round takes the same photo. Short cuts that depend on the data are shown at their worst too: once
with white noise for a photo, once with white noise for logits (the tower still runs).
"""

from mmseg_clipsurgery.structures import ImageTokens
from mmseg_clipsurgery.surgery import SURGERIES

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import published
from .measure import Section, rounded
from .workload import PLAIN, PROTOCOL, VOC_PHOTO, Workload, windows_cut

OURS, WINDOWS = 'to labels', 'to labels, one window at a time'


@torch.inference_mode()
def image(load: Workload) -> Section:
    """Whole images, no rules."""
    size, tower = (load.size(512, 128),) * 2, load.tower
    ours, worst, plain = load.predictor(), load.predictor(noise=True), load.plain(size)
    images, noise = [load.image(i, size)[None] for i in range(load.rounds)], noise_image(load, size)
    variants = {
        PLAIN: lambda r: plain(images[r]),
        'our tower': lambda r: tower(images[r]),
        'our tower, patches only': lambda r: tower(images[r], class_token=False),
    }
    pairs = {}
    for k, vocabulary in {59: 'context59', 171: 'coco_stuff164k'}.items():
        words, name = load.encoders.text(vocabulary), f'{OURS}, {k} classes'
        variants |= {
            name: lambda r, words=words: ours.predict(images[r], words),
            f'{name}, noise image': lambda r, words=words: ours.predict([noise], words),
            f'{name}, noise logits': lambda r, words=words: worst.predict(images[r], words),
            f'published steps, {k} classes': lambda r, words=words: published.labels(tower, images[r], words),
        }
        pairs[f'published steps to ours, {k} classes'] = f'published steps, {k} classes', name
    measured = load.measure(variants)
    facts = {fact: measured.ratio(*pair) for fact, pair in pairs.items()}
    patches = tower(images[0], class_token=False).patch_tokens[0].flatten(1).T
    difference = F.normalize(patches, dim=-1) - published.surgery_tokens(tower, images[0])[0, 1:]
    return measured.rows(PLAIN), {
        **facts,
        'largest difference of tokens': rounded(float(difference.abs().max())),
    }


@torch.inference_mode()
def slide(load: Workload) -> Section:
    """The leaderboard's protocol on VOC, from pixels to labels."""
    size, words = (load.size(336, 240), load.size(448, 320)), load.encoders.text('voc21')
    ours, worst, plain = (
        load.predictor(**PROTOCOL),
        load.predictor(noise=True, **PROTOCOL),
        load.plain((224, 224)),
    )
    images, noise = [load.image(i, size) for i in range(load.rounds)], noise_image(load, size)
    windows = [windows_cut(image) for image in images]

    def labels(image: Tensor, predictor=ours) -> Tensor:
        return predictor.predict([image], words, [VOC_PHOTO])[0].labels[0]

    def one_window(image: Tensor) -> Tensor:
        return published.window_loop(load.tower, image, words, VOC_PHOTO)

    measured = load.measure(
        {
            PLAIN: lambda r: plain(windows[r]),
            f'{PLAIN}, one by one': lambda r: [plain(window[None]) for window in windows[r]],
            OURS: lambda r: labels(images[r]),
            f'{OURS}, noise image': lambda r: labels(noise),
            f'{OURS}, noise logits': lambda r: labels(images[r], worst),
            WINDOWS: lambda r: one_window(images[r]),
        }
    )
    equal = float((one_window(images[0]) == labels(images[0])).float().mean())
    ratio = measured.ratio(WINDOWS, OURS)
    return measured.rows(PLAIN), {
        'one window at a time to ours': ratio,
        'share of equal labels': rounded(equal),
    }


@torch.inference_mode()
def read_many(load: Workload) -> Section:
    """Six windows of the trained size, under every surgery of the table."""
    tower, side = load.tower, load.tower.trained_grid[0] * load.tower.patch
    windows = torch.stack([load.image(i, (side, side)) for i in range(6)])

    def at_once() -> dict[str, ImageTokens]:
        return tower.read_many(windows, list(SURGERIES))

    def one_by_one() -> dict[str, ImageTokens]:
        return {name: tower(windows, surgery=name) for name in SURGERIES}

    measured = load.measure(
        {
            PLAIN: lambda r: tower.visual(windows),
            'one surgery': lambda r: tower(windows),
            'all surgeries at once': lambda r: at_once(),
            'all surgeries, one by one': lambda r: one_by_one(),
        }
    )
    pairs = zip(at_once().values(), one_by_one().values(), strict=True)
    equal = [all(map(torch.equal, *pair)) for pair in pairs]
    return measured.rows(PLAIN), {'surgeries': len(equal), 'share equal to the bit': sum(equal) / len(equal)}


def noise_image(load: Workload, size: tuple[int, int]) -> Tensor:
    """White noise for a photo of a size (H, W), as the towers take it."""
    return load.encoders.normalized(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
