"""Sections in other processes: whole evaluations with loader and metrics, and starts of Python.

processes   an evaluation (`configs/clipsurgery_voc.py`, random weights) by one process on one core against two on two,
            one thread each; `scaling limit`: the same of the plain tower alone, which needs nothing but its weights
loop        an evaluation, from photos on disk to figures, against
              the plain tower       open_clip's own forward of the very windows, on the device, in batches as large
              one window at a time  `published.window_loop`, images on the device to labels
            bf16 on a GPU (autocast; the plain tower has bf16 weights, its fastest way), fp32 on a CPU
start       fresh Pythons where MMSeg counts as not installed, torchvision's shim loaded from its file by the first

Words come from a disk cache, which a short run before has filled. A photo that is read again stands for another one.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from mmseg_clipsurgery.api.input_sizes import with_short_side
from mmseg_clipsurgery.environment import torchvision_shim
from mmseg_clipsurgery.evaluation.configs import read_config
from mmseg_clipsurgery.inference.precision import PRECISIONS
from mmseg_clipsurgery.leaderboard.processes import evaluate_in_processes

import torch

from .measure import SPAWN, Section, cost_of, in_fresh_processes, measure, quotients, summary, take_turns
from .published import window_loop
from .workload import Workload, windows_cut

IMAGES, RUN, LIMIT = 'images a second', 'seconds of the whole run', 'scaling limit'
# Images that the evaluation reads, images in a batch of its loader, windows at once, images read window by window.
LOADS = {'cpu': (24, 1, 16, 12), 'cuda': (3200, 16, 96, 100), 'quick': (2, 1, 4, 1)}
BASE = 'import torch, open_clip'
BLOCKED = "import sys; sys.modules.update(dict.fromkeys(['mmengine', 'mmcv', 'mmseg']))\n"
SHIM = f'import runpy; runpy.run_path({torchvision_shim.__file__!r})["install"]()\n'
COMMANDS = {
    BASE: ['-c', BLOCKED + SHIM + BASE],
    'import mmseg_clipsurgery': ['-c', f'{BLOCKED}import mmseg_clipsurgery'],
    'python -m mmseg_clipsurgery --help': ['-m', 'mmseg_clipsurgery', '--help'],
}


def start(load: Workload) -> Section:
    """Each command in a fresh Python."""

    def run(words: list[str]) -> None:
        root = Path(__file__).resolve().parents[1]
        subprocess.run([sys.executable, *words], cwd=root, stdout=subprocess.DEVNULL, check=True)

    variants = {name: lambda r, words=words: run(words) for name, words in COMMANDS.items()}
    return measure(variants, load.few, torch.device('cpu')).rows(to=BASE), {}


def processes(load: Workload) -> Section:
    """Runs of one and of two processes, in turns."""
    images = load.size(min(100, len(load.files)), 4)

    def run(count: int) -> dict[str, Any]:
        with cores(count):
            begun = time.perf_counter()
            result = evaluation(load, folder, images, count)
            wall, limit = time.perf_counter() - begun, tower_rate(load, load.size(12, 2), count)
        found = {IMAGES: result['images_per_second'], RUN: wall, LIMIT: limit}
        return {**found, 'mIoU': result['metrics']['mIoU'], 'MiB': result['peak_memory_mib']['process']}

    with tempfile.TemporaryDirectory() as folder:
        evaluation(load, folder, images=2)
        runs = take_turns({'1': lambda r: run(1), '2': lambda r: run(2)}, load.few)
    columns = {name: {key: [run[key] for run in found] for key in found[0]} for name, found in runs.items()}
    one, rows = columns['1'], {}
    for name, found in columns.items():
        rows[name] = {key: summary(found[key]) for key in (IMAGES, RUN)} | {
            'to one process': quotients(found[IMAGES], one[IMAGES]),
            'whole run to one process': quotients(one[RUN], found[RUN]),
            LIMIT: quotients(found[LIMIT], one[LIMIT]),
        }
    every = [run for found in runs.values() for run in found]
    same, most = len({run['mIoU'] for run in every}) == 1, max(run['MiB'] for run in every)
    return rows, {'images': images, 'mIoU the same in every run': same, 'MiB of a process at most': most}


@contextlib.contextmanager
def cores(count: int) -> Iterator[None]:
    """Keep this process and those it starts to so many cores. Raises ValueError where there are fewer."""
    every = os.sched_getaffinity(0)
    if len(every) < count:
        raise ValueError(f'{count} processes with a core each need {count} cores, there are {len(every)}')
    os.sched_setaffinity(0, sorted(every)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, every)


def tower_rate(load: Workload, times: int, count: int) -> float:
    """Batches of six windows a second of the plain tower, in so many processes."""
    with SPAWN.Manager() as manager:
        tasks = [(load, times, manager.Barrier(count))] * count
        return sum(times / seconds for seconds in in_fresh_processes(tower_seconds, *tasks))


@torch.inference_mode()
def tower_seconds(load: Workload, times: int, meeting: Any) -> float:
    """Seconds on the wall of `times` batches of six windows, begun when all processes have come to the barrier."""
    torch.set_num_threads(1)
    windows, tower = torch.randn(6, 3, 224, 224), load.plain((224, 224))
    tower(windows)
    meeting.wait(600)
    return cost_of(lambda: [tower(windows) for _ in range(times)], torch.device('cpu'))[1]


@torch.inference_mode()
def loop(load: Workload) -> Section:
    """Rounds of the three, one after the other."""
    count, batch, window_batch, looped = LOADS['quick' if load.quick else load.device.type]
    precision, distinct = 'bf16' if load.device.type == 'cuda' else 'fp32', min(count, len(load.files))
    photos, words = [load.photo(i) for i in range(distinct)], load.encoders.text('voc21')
    images = [load.encoders.normalized(with_short_side(photo, 336)) for photo in photos]
    plain = load.plain((224, 224)).to(PRECISIONS[precision] or torch.float32)
    windows = torch.cat([windows_cut(image) for image in images]).to(plain.proj.dtype)
    some = list(zip(images, photos, strict=True))[:looped]

    def evaluated(images: int) -> float:
        result = evaluation(load, folder, images, **options)
        return result.get('images_per_second_after_first_batch') or result['images_per_second']

    def towers(r: int = 0) -> float:
        return (
            distinct / cost_of(lambda: [plain(part) for part in windows.split(window_batch)], load.device)[1]
        )

    def one_window(r: int = 0) -> float:
        def labels() -> None:
            for image, photo in some:
                window_loop(load.tower, image, words, photo.shape[:2], precision)

        return len(some) / cost_of(labels, load.device)[1]

    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, 'val.txt')
        listed.write_text('\n'.join(load.files[i % distinct].stem for i in range(count)) + '\n')
        options = {'test_dataloader.dataset.ann_file': str(listed), 'test_dataloader.batch_size': batch}
        options |= {'model.test_cfg.window_batch': window_batch, 'model.test_cfg.precision': precision}
        evaluated(2 * batch), towers(), one_window()
        ways = {'the evaluation': lambda r: evaluated(count), 'the plain tower': towers}
        rates = take_turns({**ways, 'one window at a time': one_window}, load.few)
    ours, rows = rates['the evaluation'], {}
    for name, found in rates.items():
        rows[name] = {IMAGES: summary(found), 'the evaluation to it': quotients(ours, found)}
    amounts = {
        'images': count,
        'photos': distinct,
        'images of a batch': batch,
        'windows at once': window_batch,
    }
    return rows, {**amounts, 'windows of an image': len(windows) / distinct, 'precision': precision}


def evaluation(
    load: Workload, folder: str, images: int, processes: int = 0, **options: Any
) -> dict[str, Any]:
    """Results of one evaluation of photos, scenes taken as if they were VOC's.

    Args:
        load: photos and arch.
        folder: for the cache of words, logs and results.
        images: how many of the list.
        processes: with one thread each; 0: one process with all threads.
        options: further settings, by dotted key.
    """
    settings = {
        **{f'model.{tower}.pretrained': None for tower in ('backbone', 'text_encoder')},
        **{f'model.{tower}.arch': load.arch for tower in ('backbone', 'text_encoder')},
        'model.text_encoder.text_cache': f'{folder}/words',
        'randomness.seed': 0,
        'test_dataloader.dataset.data_root': str(load.files[0].parents[1]),
        'test_dataloader.dataset.img_suffix': load.files[0].suffix,
        'test_dataloader.dataset.indices': images,
        **options,
    }
    threads = str(torch.get_num_threads() if processes == 0 else 1)
    with mock.patch.dict(os.environ, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads):
        cfg = read_config('clipsurgery_voc', settings)
        return evaluate_in_processes(cfg, Path(folder, 'run'), max(processes, 1), preflight=False)
