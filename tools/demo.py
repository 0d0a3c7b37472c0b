#!/usr/bin/env python
"""The main job on the embedded scenes: raw CLIP and CLIP Surgery of the same tiny CLIP, a table and a picture.

    make demo          python tools/demo.py [--work-dir DIR]

Four runs of `configs/clipsurgery_scenes.py`: two methods on 200 validation scenes and on 100 scenes whose colour-object
pairs no training shows. It says nothing about real photos. Results and masks of each run are kept in the work folder.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery import test
from mmseg_clipsurgery.datasets.on_disk import build_dataset
from mmseg_clipsurgery.environment.mistakes import guarded
from mmseg_clipsurgery.evaluation.configs import read_config
from mmseg_clipsurgery.visualization.drawing import overlay, picture

import numpy as np
from PIL import Image

CONFIG = 'clipsurgery_scenes'
METHODS = {'clip': 'raw CLIP', 'clip_surgery': 'CLIP Surgery'}
SPLITS = {'val': 'validation', 'heldout': 'held-out pairs'}
COLUMNS = {'mIoU': 'mIoU', 'mIoU_objects': 'objects', 'mIoU_grounds': 'grounds'}
SHOWN = 6  # scenes in the picture: the first ones


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code."""
    parser = argparse.ArgumentParser(prog='demo', description=(__doc__ or '').partition('\n\n')[0])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs', 'demo'), help='where results go')
    parser.add_argument('--scenes', type=int, metavar='N', help='only the first N scenes of each split')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    arguments = parser.parse_args(argv)
    return guarded(lambda: demo(arguments.work_dir, arguments.scenes), arguments.debug)


def demo(folder: Path, scenes: int | None = None) -> None:
    """Evaluate, print the table, draw the picture."""
    warnings.filterwarnings('ignore', category=UserWarning)  # of MMEngine, about runs that share a process
    start = time.perf_counter()
    metrics = {
        (method, split): evaluate(method, split, folder / f'{method}_{split}', scenes)
        for method in METHODS
        for split in SPLITS
    }
    print(f'\n{table(metrics)}\n')
    print(f'picture: {draw(folder, scenes)}')
    print(f'results: {folder}/*/results.json ({time.perf_counter() - start:.0f} s in all)')


def evaluate(method: str, split: str, folder: Path, scenes: int | None = None) -> dict[str, float]:
    """Metrics of one method on one split; its masks are in `folder / 'masks'`."""
    options = [
        f'model.backbone.surgery={method}',
        f'test_dataloader.dataset.ann_file=ImageSets/Segmentation/{split}.txt',
        'log_level=ERROR',
        *([f'test_dataloader.dataset.indices={scenes}'] if scenes else []),
    ]
    words = [CONFIG, '--work-dir', str(folder), '--out', str(folder / 'masks'), '--cfg-options', *options]
    results: dict[str, Any] = test.run(test.parse(words)) or {}
    print(
        f'{METHODS[method]}, {SPLITS[split]}: {results["images"]} scenes in {results["seconds"]:.1f} s',
        flush=True,
    )
    return results['metrics']


def table(metrics: dict[tuple[str, str], dict[str, float]]) -> str:
    """mIoU of methods (rows) on splits (groups of columns)."""
    width = 10
    name = max(map(len, METHODS.values())) + 2
    groups = ''.join(f'{title:>{width * len(COLUMNS)}}' for title in SPLITS.values())
    heads = ''.join(f'{title:>{width}}' for title in COLUMNS.values()) * len(SPLITS)
    lines = [f'{"":{name}}{groups}', f'{"":{name}}{heads}']
    for method, title in METHODS.items():
        values = [metrics[method, split][column] for split in SPLITS for column in COLUMNS]
        lines.append(f'{title:{name}}' + ''.join(f'{value:{width}.1f}' for value in values))
    return '\n'.join(lines)


def draw(folder: Path, scenes: int | None = None) -> Path:
    """A picture of the first validation scenes: image, truth and what both methods say."""
    dataset = build_dataset(read_config(CONFIG).test_dataloader.dataset)
    classes, colours = dataset.metainfo['classes'], dataset.metainfo['palette']
    rows = []
    for index in range(min(SHOWN, scenes or SHOWN)):
        info = dataset.get_data_info(index)
        image = np.asarray(Image.open(info['img_path']).convert('RGB'))
        truth = np.asarray(Image.open(info['seg_map_path']))
        name = Path(info['img_path']).with_suffix('.png').name
        predicted = [np.asarray(Image.open(folder / f'{method}_val' / 'masks' / name)) for method in METHODS]
        rows.append([image, *(overlay(image, labels, colours, 0.8) for labels in [truth, *predicted])])
    path = folder / 'demo.png'
    picture(rows, ['image', 'truth', *METHODS.values()], list(zip(classes, colours, strict=True))).save(path)
    return path


if __name__ == '__main__':
    sys.exit(main())
