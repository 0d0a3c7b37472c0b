#!/usr/bin/env python
"""The main job on the embedded scenes: raw CLIP and CLIP Surgery of the same tiny CLIP, a table and a picture.

    make demo          python tools/demo.py [--work-dir DIR]

Two methods on 200 validation scenes, and on 200 that show objects in a tint or on a ground in which no training scene
does. It says nothing about real photos. Masks of each run are kept in the work folder. Where MMSegmentation is
installed a run is an evaluation of `configs/clipsurgery_scenes.py`, with all that it writes; elsewhere the Python
interface labels the same scenes, and the figures are the same to the digit.
"""

import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.cli.common import folder
from mmseg_clipsurgery.environment.command_line import CommandParser
from mmseg_clipsurgery.environment.mistakes import guarded
from mmseg_clipsurgery.environment.stack import mmseg_installed

if TYPE_CHECKING:
    from mmseg_clipsurgery.api.model import SurgeryModel

    import numpy as np

METHODS = {'clip': 'raw CLIP', 'clip_surgery': 'CLIP Surgery'}
SPLITS = {'val': 'validation scenes', 'heldout': 'scenes of held-out pairs'}
COLUMNS = {'mIoU': 'mIoU', 'mIoU_objects': 'objects', 'mIoU_grounds': 'grounds'}
SHOWN = 2  # scenes of each split in the picture: the first ones
BATCH = 50  # scenes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code."""
    parser = CommandParser(prog='demo', description=(__doc__ or '').partition('\n\n')[0])
    parser.add_argument('--work-dir', type=folder, default=Path('work_dirs', 'demo'), help='where results go')
    parser.add_argument('--scenes', type=int, metavar='N', help='only the first N scenes of each split')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    arguments = parser.parse_args(argv)
    return guarded(lambda: demo(arguments.work_dir, arguments.scenes), arguments.debug)


def demo(folder: Path, scenes: int | None = None) -> None:
    """Evaluate, print the table, draw the picture."""
    start = time.perf_counter()
    run = evaluate_in_mmseg if mmseg_installed() else evaluate_alone
    metrics: dict[tuple[str, str], dict[str, float]] = {}
    for number, (split, title) in enumerate(SPLITS.items(), start=1):
        begun = time.perf_counter()
        print(f'{number}/{len(SPLITS)} {" and ".join(METHODS.values())}, {title} ...', flush=True)
        for method, found in run(split, folder / split, scenes).items():
            metrics[method, split] = found
        print(f'    {time.perf_counter() - begun:.1f} s', flush=True)
    print(f'\n{table(metrics)}\n')
    print(f'picture: {draw(folder, scenes)}')
    print(f'results: {folder}/*/*/results.json ({time.perf_counter() - start:.0f} s in all)')


def evaluate_in_mmseg(split: str, folder: Path, scenes: int | None = None) -> dict[str, dict[str, float]]:
    """Metrics of each method on one split, by one evaluation in MMSeg; masks are in `folder / 'masks' / method`."""
    from mmseg_clipsurgery.evaluation import evaluate

    options: dict[str, Any] = {
        'model.backbone.surgery': list(METHODS),
        'test_dataloader.dataset.ann_file': f'ImageSets/Segmentation/{split}.txt',
        'test_dataloader.batch_size': BATCH,
    }
    if scenes:
        options['test_dataloader.dataset.indices'] = scenes
    results = evaluate(
        'clipsurgery_scenes', options=options, work_dir=folder, out=folder / 'masks', quiet=True
    )
    assert results is not None
    return {method: results[method]['metrics'] for method in METHODS}


def evaluate_alone(split: str, folder: Path, scenes: int | None = None) -> dict[str, dict[str, float]]:
    """As `evaluate_in_mmseg`, by the Python interface."""
    from mmseg_clipsurgery.environment.files import write_json
    from mmseg_clipsurgery.environment.progress import Progress
    from mmseg_clipsurgery.evaluation.metrics.confusion import confusion_counts, group_means, mean_iou
    from mmseg_clipsurgery.inference.label_files import write_labels
    from mmseg_clipsurgery.scenes import CLASSES, GROUNDS, OBJECTS
    from mmseg_clipsurgery.vocabulary import Vocabulary

    import torch

    names, images, masks = read_scenes(split, scenes)
    words, progress = Vocabulary.read('scenes'), Progress(len(METHODS) * len(names))
    metrics = {}
    for method in METHODS:
        counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
        model = embedded_clip().with_surgery(method)
        for start in range(0, len(names), BATCH):
            part = slice(start, start + BATCH)
            found = model.segment(images[part], words)
            for name, truth, result in zip(names[part], masks[part], found, strict=True):
                counts += confusion_counts(
                    torch.tensor(truth), torch.tensor(result.labels), len(CLASSES), 255
                )
                write_labels(folder / 'masks' / method / f'{name}.png', result.labels, len(CLASSES))
                progress.step()
        groups = {'objects': OBJECTS, 'grounds': GROUNDS}
        metrics[method] = {'mIoU': mean_iou(counts), **group_means(counts, CLASSES, groups)}
        write_json(folder / method / 'results.json', {'metrics': metrics[method], 'images': len(names)})
    return metrics


@cache
def embedded_clip() -> 'SurgeryModel':
    """The tiny CLIP; every method shares its weights and its words."""
    from mmseg_clipsurgery import load

    return load('scenes', batch=BATCH)


def read_scenes(
    split: str, count: int | None = None
) -> 'tuple[list[str], list[np.ndarray], list[np.ndarray]]':
    """Names, images "h w 3" and masks "h w" of a split's first scenes, of all with None; drawn on first use."""
    from mmseg_clipsurgery.scenes import ensure

    import numpy as np
    from PIL import Image

    folder = ensure()
    names = (folder / 'ImageSets/Segmentation' / f'{split}.txt').read_text().split()[:count]
    images = [np.asarray(Image.open(folder / 'JPEGImages' / f'{name}.png').convert('RGB')) for name in names]
    masks = [np.asarray(Image.open(folder / 'SegmentationClass' / f'{name}.png')) for name in names]
    return names, images, masks


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
    """A picture of the first scenes of each split: image, truth and what both methods say."""
    from mmseg_clipsurgery.scenes import CLASSES
    from mmseg_clipsurgery.scenes.voc import MASK_COLOURS
    from mmseg_clipsurgery.visualization.figures import save_picture
    from mmseg_clipsurgery.visualization.label_maps import label_figure

    import numpy as np
    from PIL import Image

    colours = [MASK_COLOURS[name] for name in CLASSES]
    rows = []
    for split in SPLITS:
        for name, image, truth in zip(*read_scenes(split, min(SHOWN, scenes or SHOWN)), strict=True):
            paths = [folder / split / 'masks' / method / f'{name}.png' for method in METHODS]
            label_maps = [truth, *(np.asarray(Image.open(path)) for path in paths)]
            rows.append((image, label_maps))
    path = folder / 'demo.png'
    titles = ['image', 'truth', *METHODS.values()]
    save_picture(path, label_figure(rows, titles, CLASSES, colours, opacity=1))
    return path


if __name__ == '__main__':
    sys.exit(main())
