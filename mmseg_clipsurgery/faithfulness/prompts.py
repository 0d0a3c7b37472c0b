"""Prompt sensitivity: does the map of a word differ from those of other prompts, and for the better?

    rho    rank correlation of the map of the word with that of the other prompt            1: the text is not read
    drop   AP(map of the word) - AP(map of the other prompt), both by the word's mask       0: it does not help

Other prompts: another class of the mask, a class that is not in it, and gibberish. A low rho alone is also what noise
gives: read it beside the drop. An explainer that does not read the text has rho 1 and drop 0 by construction. AP is
that of pixels, the map resized to the image.
"""

import random
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor

from ..evaluation.metrics.average_precision import average_precision
from ..explainers.explainer import Explainer
from .agreement import spearman
from .maps import at_size, class_maps
from .subjects import JudgedCLIP, Settings, Subject

GIBBERISH = ('xqzv', 'blorp fnid', 'wqjk', 'zzyrt')


def prompts(
    clip: JudgedCLIP, explainers: Mapping[str, Explainer], subjects: Sequence[Subject], settings: Settings
) -> Iterator[tuple[str, dict[str, float]]]:
    """Every subject's word against other prompts.

    Args:
        clip, explainers, subjects: as for `deletion`.
        settings: the seed of the other prompts.

    Yields:
        Of each subject and explainer: the explainer's name, and 'AP', 'chance' (the AP of a flat map), 'flat' (1: the
        map is), and by 'present', 'absent', 'gibberish', where there is such a prompt, 'OTHER rho' and 'OTHER drop'.
    """
    nonsense = clip.embed(GIBBERISH)
    draws = random.Random(f'prompts {settings.seed}')
    for subject in subjects:
        others = other_classes(clip, subject, draws)
        text = nonsense[[draws.randrange(len(GIBBERISH))]]
        maps = class_maps(clip, explainers, subject.image, [subject.label, *others.values()], text)
        for name, found in maps.items():
            yield name, compared(found, [*others, 'gibberish'], subject)


def other_classes(clip: JudgedCLIP, subject: Subject, draws: random.Random) -> dict[str, int]:
    """Another class of the mask, and one that is not in it; without those that there are none of."""
    pools = {
        'present': sorted(subject.present - {subject.label}),
        'absent': sorted({*clip.labels} - subject.present),
    }
    return {name: draws.choice(pool) for name, pool in pools.items() if pool}


def compared(maps: Tensor, others: Sequence[str], subject: Subject) -> dict[str, float]:
    """Figures of one subject.

    Args:
        maps: "1+o h w", the word's, then those of the other prompts.
        others: names of these.
        subject: whose mask counts.
    """
    precision = [pixel_precision(one, subject) for one in at_size(maps, subject.inside.shape)]
    figures = {
        'AP': precision[0],
        'chance': float(subject.inside.sum() / subject.counts.sum()),
        'flat': float(maps[0].min() == maps[0].max()),
    }
    for place, name in enumerate(others, start=1):
        figures[f'{name} rho'] = spearman(maps[0], maps[place])
        figures[f'{name} drop'] = precision[0] - precision[place]
    return figures


def pixel_precision(values: Tensor, subject: Subject) -> float:
    """AP of a map "H W" by a subject's mask, in [0, 1]."""
    scores = values.cpu()[subject.counts].numpy().astype(np.float64)
    return float(average_precision(scores[:, None], subject.inside[subject.counts].numpy()[:, None])[0])
