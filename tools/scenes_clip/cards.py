"""Cards: what is said of a training run beside its weights, and of several runs from which one was chosen."""

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from mmseg_clipsurgery.scenes import spec

import numpy as np
import torch

WHAT = 'a tiny CLIP for the scenes benchmark; it says nothing about real photos'
COMMAND = 'python tools/train_scenes_clip.py'
NO_SETTINGS = ('work_dir', 'out', 'workers', 'debug')  # change nothing in the weights
SPLITS = ('val', 'heldout')


def card_of_run(
    arguments: argparse.Namespace,
    seconds: float,
    chosen: Mapping[str, float],
    history: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    """The card of one run.

    Args:
        arguments: of `train_scenes_clip.parse_arguments`.
        seconds: in the steps themselves.
        chosen: the scores on dev of the weights that are written.
        history: all scores on dev.
    """
    versions = {'torch': torch.__version__, 'open_clip': version('open_clip_torch'), 'numpy': np.__version__}
    settings = {name: value for name, value in vars(arguments).items() if name not in NO_SETTINGS}
    return {
        'what': WHAT,
        'scenes_version': spec.VERSION,
        'command': ' '.join([COMMAND, *sys.argv[1:]]),
        'settings': settings,
        'seconds': round(seconds),
        'images_per_second': round(arguments.batch_size * arguments.steps / seconds, 1),
        'machine': machine(arguments.device),
        'versions': {'python': platform.python_version(), **versions},
        'chosen_on_dev': dict(chosen),
        'dev_history': list(history),
    }


def check_runs(cards: Sequence[Mapping[str, Any]]) -> None:
    """Refuse cards among which no run can be chosen.

    Raises:
        ValueError: they are of other scenes, differ in more than their seed, or a seed occurs twice.
    """
    versions = {card['scenes_version'] for card in cards}
    settings = [{**card['settings'], 'seed': None} for card in cards]
    seeds = [card['settings']['seed'] for card in cards]
    if (
        versions != {spec.VERSION}
        or len(set(seeds)) < len(seeds)
        or any(each != settings[0] for each in settings)
    ):
        raise ValueError(
            f'got runs with seeds {seeds}, on scenes of versions {sorted(versions)}; give runs with one seed each, on '
            f'version {spec.VERSION}, that differ in nothing else'
        )


def card_of_all(
    cards: Sequence[Mapping[str, Any]], measured: Sequence[Mapping[str, Mapping[str, float]]]
) -> tuple[int, dict[str, Any]]:
    """The place of the best on dev, and its card, with what all runs reached.

    Args:
        cards: of runs that `check_runs` accepts.
        measured: of each, split -> scores, which the choice does not look at.
    """
    place = max(range(len(cards)), key=lambda k: cards[k]['chosen_on_dev']['miou'])
    runs = [
        {
            'seed': card['settings']['seed'],
            'seconds': card['seconds'],
            'dev': dict(card['chosen_on_dev']),
            **found,
        }
        for card, found in zip(cards, measured, strict=True)
    ]
    summary = {
        split: {name: spread_of([run[split][name] for run in runs]) for name in runs[0][split]}
        for split in ('dev', *SPLITS)
    }
    chosen = {
        'seed': runs[place]['seed'],
        'rule': 'the best mIoU on dev; no figure of val or heldout, and no ranking of methods, was looked at',
    }
    return place, {**cards[place], 'chosen': chosen, 'all_seeds': runs, 'mean_and_spread': summary}


def spread_of(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation (of a sample; 0 of one value)."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {'mean': round(statistics.fmean(values), 2), 'deviation': round(deviation, 2)}


def machine(device: str) -> str:
    if device == 'cpu':
        return f'{os.cpu_count()} CPU cores, {torch.get_num_threads()} of them used'
    return torch.cuda.get_device_name(device)
