"""Sections from pixels to labels; short cuts that depend on the data also at their worst, with white noise."""

from mmseg_clipsurgery.inference.precision import TowerRunner

import torch
import torch.nn.functional as F

from . import published
from .measure import Measured, Row
from .workload import PLAIN, PROTOCOL, VOC_PHOTO, Workload

SEVEN = ('clip', 'maskclip', 'clip_surgery', 'sclip', 'clearclip', 'naclip', 'gem')
OURS, WINDOWS = 'to labels', 'to labels, one window at a time'


def image(load: Workload) -> dict[str, Row]:
    """Whole images, no rules."""
    size, tower, classes = (load.size(512, 128),) * 2, load.tower, {59: 'context59', 171: 'coco_stuff164k'}
    ours, worst, plain = load.predictor(), load.predictor(noise=True), load.plain(size)
    images = [load.image(i, size) for i in range(load.rounds)]
    variants = {
        PLAIN: lambda r: plain(images[r]),
        'our tower': lambda r: tower(images[r]),
        'our tower, patches only': lambda r: tower(images[r], class_token=False),
    }
    for k, vocabulary in classes.items():
        words, name = load.encoders.text(vocabulary), f'{OURS}, {k} classes'
        variants |= {
            name: lambda r, words=words: ours.predict(images[r], words),
            f'{name}, noise image': lambda r, words=words: ours.predict(torch.randn_like(images[r]), words),
            f'{name}, noise logits': lambda r, words=words: worst.predict(images[r], words),
            f'published steps, {k} classes': lambda r, words=words: published.labels(tower, images[r], words),
        }
    measured = Measured(variants, load.rounds, load.device)
    rows = measured.rows(to=PLAIN)
    for k in classes:
        theirs = f'published steps, {k} classes'
        rows[theirs]['to ours'] = measured.ratio(theirs, f'{OURS}, {k} classes')
    patches = tower(images[0], class_token=False).patch_tokens[0].flatten(1).T
    difference = F.normalize(patches, dim=-1) - published.surgery_tokens(tower, images[0])[0, 1:]
    rows['our tower, patches only']['difference to published tokens'] = float(difference.abs().max())
    return rows


def slide(load: Workload) -> dict[str, Row]:
    """The leaderboard's protocol on VOC."""
    size, words = (load.size(336, 240), load.size(448, 320)), load.encoders.text('voc21')
    ours, worst = load.predictor(**PROTOCOL), load.predictor(noise=True, **PROTOCOL)
    images = [load.image(i, size) for i in range(load.rounds)]
    run, plain = TowerRunner(), load.plain((224, 224))
    windows = [published.windows(image[0]) for image in images]
    variants = {
        PLAIN: lambda r: plain(windows[r]),
        f'{PLAIN}, one by one': lambda r: [plain(window[None]) for window in windows[r]],
        OURS: lambda r: ours.predict(images[r], words, [VOC_PHOTO]),
        f'{OURS}, noise image': lambda r: ours.predict(torch.randn_like(images[r]), words, [VOC_PHOTO]),
        f'{OURS}, noise logits': lambda r: worst.predict(images[r], words, [VOC_PHOTO]),
        WINDOWS: lambda r: published.window_loop(run, load.tower, images[r][0], words, VOC_PHOTO),
    }
    measured = Measured(variants, load.rounds, load.device)
    equal = float((variants[WINDOWS](0) == variants[OURS](0)[0].labels[0]).float().mean())
    rows = measured.rows(to=PLAIN)
    rows[WINDOWS] |= {'to ours': measured.ratio(WINDOWS, OURS), 'share of equal labels': equal}
    return rows


def read_many(load: Workload) -> dict[str, Row]:
    """Six windows of the trained size under seven surgeries: at once, and one after the other."""
    tower, side = load.tower, load.tower.trained_grid[0] * load.tower.patch
    windows = torch.cat([load.image(i, (side, side)) for i in range(6)])
    variants = {
        PLAIN: lambda r: tower.visual(windows),
        'one surgery': lambda r: tower(windows),
        'seven surgeries at once': lambda r: tower.read_many(windows, SEVEN),
        'seven surgeries, one by one': lambda r: {name: tower(windows, surgery=name) for name in SEVEN},
    }
    rows = Measured(variants, load.rounds, load.device).rows(to=PLAIN)
    many, single = (variants[f'seven surgeries{how}'](0) for how in (' at once', ', one by one'))
    equal = [all(map(torch.equal, many[name], single[name])) for name in SEVEN]
    rows['seven surgeries at once']['share equal to the bit'] = sum(equal) / len(equal)
    return rows
