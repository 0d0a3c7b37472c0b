#!/usr/bin/env python
"""The main job on the embedded scenes: raw CLIP and CLIP Surgery of the same tiny CLIP, a table and a picture.

    make demo          python tools/demo.py [--work-dir DIR]

Two methods segment 200 validation scenes and 100 scenes whose colour-object pairs no training shows, through the Python
interface; MMSegmentation is not needed. It says nothing about real photos.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.environment.mistakes import guarded

if TYPE_CHECKING:
    from mmseg_clipsurgery.api.model import SurgeryModel

    import numpy as np

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


def demo(folder: Path, count: int | None = None) -> None:
    """Segment, print the table, draw the picture; `count` scenes of each split, None: all."""
    from mmseg_clipsurgery import load
    from mmseg_clipsurgery.api.results.base import write_json

    start = time.perf_counter()
    clip = load('scenes')
    models = {method: clip.with_surgery(method) for method in METHODS}
    scenes = {split: read_scenes(split, count) for split in SPLITS}
    labels = {
        (method, split): segment(models[method], method, split, images)
        for method in METHODS
        for split, (images, _) in scenes.items()
    }
    metrics = {
        (method, split): mean_ious(found, scenes[split][1]) for (method, split), found in labels.items()
    }
    print(f'\n{table(metrics)}\n')
    draw(folder / 'demo.png', *scenes['val'], [labels[method, 'val'] for method in METHODS])
    write_json(
        folder / 'results.json', {f'{method}, {split}': found for (method, split), found in metrics.items()}
    )
    print(f'picture: {folder / "demo.png"}')
    print(f'results: {folder / "results.json"} ({time.perf_counter() - start:.0f} s in all)')


def read_scenes(split: str, count: int | None) -> 'tuple[list[np.ndarray], list[np.ndarray]]':
    """(images "h w 3", masks "h w") of a split; the first `count`, None: all. Drawn on first use."""
    from mmseg_clipsurgery.scenes import ensure

    import numpy as np
    from PIL import Image

    folder = ensure()
    names = (folder / 'ImageSets/Segmentation' / f'{split}.txt').read_text().split()[:count]
    images = [np.asarray(Image.open(folder / 'JPEGImages' / f'{name}.png').convert('RGB')) for name in names]
    return images, [np.asarray(Image.open(folder / 'SegmentationClass' / f'{name}.png')) for name in names]


def segment(model: 'SurgeryModel', method: str, split: str, images: 'list[np.ndarray]') -> 'list[np.ndarray]':
    """Label maps "h w" of the images."""
    from mmseg_clipsurgery.scenes import CLASSES

    start = time.perf_counter()
    labels = [result.labels for result in model.segment(images, list(CLASSES))]
    seconds = time.perf_counter() - start
    print(f'{METHODS[method]}, {SPLITS[split]}: {len(images)} scenes in {seconds:.1f} s', flush=True)
    return labels


def mean_ious(labels: 'list[np.ndarray]', masks: 'list[np.ndarray]') -> dict[str, float]:
    """Mean IoU in percent of all classes, of objects, and of grounds; over the classes that occur."""
    from mmseg_clipsurgery.scenes import CLASSES, OBJECTS

    import numpy as np

    k = len(CLASSES)
    pairs = np.stack(masks).astype(np.int64) * k + np.stack(labels)
    confusion = np.bincount(pairs.ravel(), minlength=k * k).reshape(k, k)
    both = confusion.diagonal()
    either = confusion.sum(0) + confusion.sum(1) - both
    iou = 100 * np.where(either > 0, both / np.maximum(either, 1), np.nan)
    groups = (iou, iou[: len(OBJECTS)], iou[len(OBJECTS) :])
    return {column: float(np.nanmean(group)) for column, group in zip(COLUMNS, groups, strict=True)}


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


def draw(
    path: Path,
    images: 'list[np.ndarray]',
    masks: 'list[np.ndarray]',
    labels: 'list[list[np.ndarray]]',
) -> None:
    """A picture of the first scenes: image, truth and what both methods say."""
    from mmseg_clipsurgery.scenes import CLASSES
    from mmseg_clipsurgery.scenes.voc import MASK_COLOURS
    from mmseg_clipsurgery.visualization.figures import save_picture
    from mmseg_clipsurgery.visualization.label_maps import label_figure

    rows = [(image, label_maps) for image, *label_maps in zip(images, masks, *labels, strict=True)]
    colours = [MASK_COLOURS[name] for name in CLASSES]
    titles = ['image', 'truth', *METHODS.values()]
    save_picture(path, label_figure(rows[:SHOWN], titles, CLASSES, colours, opacity=0.8))


if __name__ == '__main__':
    sys.exit(main())
