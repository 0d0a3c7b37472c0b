"""The command `tools/check_dataset.py`: is a data set what its config expects? No weights are needed.

    python tools/check_dataset.py CONFIG [CONFIG ...] [--data-root DIR] [--subset]

CONFIG is a file or the name of a shipped one, with or without `clipsurgery_`. Counts, pairs, label ranges and
encodings, sizes and readability are looked at as the test tool's preflight does. What the preflight only notes (another
count of images than published, signs of another encoding) is a failure here; --subset allows another count.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..datasets.mask_check import check_files
from ..datasets.on_disk import build_dataset, check_folders, count_notes, dataset_configs, pairs_of
from ..environment.mistakes import sentence
from ..evaluation.configs import read_config
from ..evaluation.hooks.test_loop import base_datasets
from ..evaluation.preflight import check_classes, ignore_index_of


def main(argv: Sequence[str] | None = None) -> int:
    """Check the data set of each config; the exit code, 0 where all of them are right."""
    parser = argparse.ArgumentParser(prog='check_dataset', description='Check a data set before a run.')
    parser.add_argument(
        'configs', nargs='+', metavar='CONFIG', help='a config file or the name of a shipped one'
    )
    parser.add_argument('--data-root', help='folder of the data set, in place of the one in the config')
    parser.add_argument('--subset', action='store_true', help='allow another number of images than published')
    arguments = parser.parse_args(argv)
    wrong = 0
    for name in arguments.configs:
        try:
            print(f'{name}: {check(config(name), arguments.data_root, arguments.subset)}', flush=True)
        except (ValueError, FileNotFoundError) as error:
            print(f'{name}: {sentence(error)}', file=sys.stderr, flush=True)
            wrong += 1
    return int(wrong > 0)


def config(name: str) -> Config:
    """A config by file, by shipped name, or by what follows `clipsurgery_` in one."""
    try:
        return read_config(name)
    except ValueError:
        return read_config(f'clipsurgery_{name}')


def check(cfg: Config, data_root: str | None = None, subset: bool = False) -> str:
    """Look at everything of a config's test data set; a sentence that says what was found to be right.

    Args:
        cfg: the whole config.
        data_root: folder in place of the config's.
        subset: any number of images will do.

    Raises:
        ValueError, FileNotFoundError: what is wrong, and the remedy.
    """
    start = time.perf_counter()
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    source = cfg.test_dataloader.dataset
    for one in dataset_configs(source):
        if data_root:
            one['data_root'] = data_root
        check_folders(one)
    dataset = build_dataset(source)
    check_classes(cfg, dataset)
    pairs = [
        pair
        for leaf in base_datasets(dataset)
        for pair in pairs_of(leaf, ignore_index_of(cfg), needs_masks=True)
    ]
    if not pairs:
        raise ValueError(f'{source.get("data_root")} lists no image: is it the right --data-root?')
    odd = check_files(pairs, report=lambda line: print(line, flush=True))
    odd += [] if subset else count_notes(pairs)
    if odd:
        raise ValueError('; '.join(odd))
    masks = sum(pair.mask is not None for pair in pairs)
    seconds = time.perf_counter() - start
    return f'{len(pairs)} images and {masks} masks are right ({seconds:.1f} s)'
