"""Sections from pixels to labels: against CLIP itself and against the published steps.

Short cuts that depend on the data are shown at their worst too: with white noise for a photo, and for logits.
"""

from mmseg_clipsurgery.surgery import SURGERIES

import torch
import torch.nn.functional as F
from torch import Tensor

from . import published
from .measure import Measured, Section, rounded
from .workload import PLAIN, PROTOCOL, VOC_PHOTO, Workload

OURS, WINDOWS = 'to labels', 'to labels, one window at a time'


def image(load: Workload) -> Section:
    """Whole images, no rules."""
    size, tower, pairs = (load.size(512, 128),) * 2, load.tower, {}
    ours, worst, plain = load.predictor(), load.predictor(noise=True), load.plain(size)
    images, noise = [load.image(i, size) for i in range(load.rounds)], load.image(-1, size)
    variants = {
        PLAIN: lambda r: plain(images[r]),
        'our tower': lambda r: tower(images[r]),
        'our tower, patches only': lambda r: tower(images[r], class_token=False),
    }
    for k, vocabulary in {59: 'context59', 171: 'coco_stuff164k'}.items():
        name, theirs = f'{OURS}, {k} classes', f'published steps, {k} classes'
        words = load.encoders.text(vocabulary)
        variants |= {
            name: lambda r, words=words: ours.predict(images[r], words),
            f'{name}, noise image': lambda r, words=words: ours.predict(noise, words),
            f'{name}, noise logits': lambda r, words=words: worst.predict(images[r], words),
            theirs: lambda r, words=words: published.labels(tower, images[r], words),
        }
        pairs[f'published steps to ours, {k} classes'] = theirs, name
    measured = Measured(variants, load.rounds, load.device)
    patches = tower(images[0], class_token=False).patch_tokens[0].flatten(1).T
    difference = F.normalize(patches, dim=-1) - published.surgery_tokens(tower, images[0])[0, 1:]
    facts = {fact: measured.ratio(*pair) for fact, pair in pairs.items()}
    facts['largest difference of tokens'] = rounded(float(difference.abs().max()))
    return {name: measured.row(name, to=PLAIN) for name in variants}, facts


def slide(load: Workload) -> Section:
    """The leaderboard's protocol on VOC."""
    size, words = (load.size(336, 240), load.size(448, 320)), load.encoders.text('voc21')
    ours, worst = load.predictor(**PROTOCOL), load.predictor(noise=True, **PROTOCOL)
    images, noise = [load.image(i, size) for i in range(load.rounds)], load.image(-1, size)
    windows, plain = [published.windows(image[0]) for image in images], load.plain((224, 224))

    def labels(image: Tensor, predictor=ours) -> Tensor:
        return predictor.predict(image, words, [VOC_PHOTO])[0].labels[0]

    variants = {
        PLAIN: lambda r: plain(windows[r]),
        f'{PLAIN}, one by one': lambda r: [plain(window[None]) for window in windows[r]],
        OURS: lambda r: labels(images[r]),
        f'{OURS}, noise image': lambda r: labels(noise),
        f'{OURS}, noise logits': lambda r: labels(images[r], worst),
        WINDOWS: lambda r: published.window_loop(load.tower, images[r][0], words, VOC_PHOTO),
    }
    measured = Measured(variants, load.rounds, load.device)
    facts = {f'{WINDOWS}, to ours': measured.ratio(WINDOWS, OURS)}
    facts['share of equal labels'] = float((variants[WINDOWS](0) == variants[OURS](0)).float().mean())
    return {name: measured.row(name, to=PLAIN) for name in variants}, facts


def read_many(load: Workload) -> Section:
    """Six windows of the trained size under every surgery: at once, and one after the other."""
    tower, side = load.tower, load.tower.trained_grid[0] * load.tower.patch
    windows = torch.cat([load.image(i, (side, side)) for i in range(6)])
    variants = {
        PLAIN: lambda r: tower.visual(windows),
        'one surgery': lambda r: tower(windows),
        'all surgeries at once': lambda r: tower.read_many(windows, list(SURGERIES)),
        'all surgeries, one by one': lambda r: {name: tower(windows, surgery=name) for name in SURGERIES},
    }
    measured = Measured(variants, load.rounds, load.device)
    many, single = (variants[f'all surgeries{how}'](0) for how in (' at once', ', one by one'))
    equal = [all(map(torch.equal, many[name], single[name])) for name in SURGERIES]
    facts = {'surgeries': len(equal), 'share equal to the bit': sum(equal) / len(equal)}
    return {name: measured.row(name, to=PLAIN) for name in variants}, facts
