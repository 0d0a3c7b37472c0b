"""Sections in other processes: starts of Python, and whole evaluations with loader and metrics."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from mmseg_clipsurgery.environment import torchvision_shim
from mmseg_clipsurgery.evaluation.configs import read_config
from mmseg_clipsurgery.inference.precision import TowerRunner
from mmseg_clipsurgery.leaderboard.processes import evaluate_in_processes

import torch

from .measure import Measured, Row, cost_of, figure, quotients, take_turns
from .prediction import SEVEN
from .published import window_loop, windows
from .workload import VOC_PHOTO, Workload

CPU, IMAGES, ROOT = torch.device('cpu'), 'images a second', Path(__file__).resolve().parents[1]
BLOCKED = "import sys; sys.modules.update(dict.fromkeys(['mmengine', 'mmcv', 'mmseg'])); "  # as not installed
SHIM = f'import runpy; runpy.run_path({torchvision_shim.__file__!r})["install"](); '  # its package would import more
BASE, OWN, HELP = 'import torch, open_clip', 'import mmseg_clipsurgery', 'python -m mmseg_clipsurgery --help'
COMMANDS = {BASE: ['-c', BLOCKED + SHIM + BASE], OWN: ['-c', BLOCKED + OWN], HELP: HELP.split()[1:]}
SHARING = ('clip_surgery', 'clip', 'maskclip', 'sclip', 'gem', 'scclip')  # the windows and words of voc21
ALL = 'all in one pass'
# Images in a batch of the loader, windows at once, images in all, images read window by window.
AMOUNTS = {'cpu': (1, 16, 24, 12), 'cuda': (16, 96, 1449, 100), 'quick': (1, 4, 2, 1)}


def start(load: Workload) -> dict[str, Row]:
    """Fresh Pythons, the first with the same torchvision shim."""
    ways = {name: lambda r, words=words: python(words) for name, words in COMMANDS.items()}
    return Measured(ways, load.few, CPU).rows(to=BASE)


def python(words: Sequence[str]) -> None:
    """A fresh Python in this checkout, which must end well; what it prints is not shown."""
    how = dict(cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, check=True)
    subprocess.run([sys.executable, *words], **how)


def one_pass(load: Workload) -> dict[str, Row]:
    """Photos on disk to figures and saved label maps: methods that share the leaderboard's protocol, and each alone."""
    methods = SHARING[: load.size(len(SHARING), 2)]
    surgeries = {ALL: list(methods), **{name: name for name in methods}}
    with tempfile.TemporaryDirectory() as folder:

        def seconds(name: str, images: int = load.size(40, 2)) -> float:
            options = {'model.backbone.surgery': surgeries[name]}
            options['test_evaluator.output_dir'] = f'{folder}/{name}'
            return cost_of(lambda: evaluation(load, folder, images, **options), CPU)[0]

        seconds(ALL, images=1)  # fills the cache of words
        found = take_turns({n: lambda r, n=n: seconds(n) for n in surgeries}, max(1, load.rounds // 5))
        maps = {path.relative_to(folder): path.read_bytes() for path in Path(folder).glob('*/**/*.png')}
    equal = [maps[Path(ALL, path)] == one for path, one in maps.items() if path.parts[0] != ALL]
    rows = {name: {'seconds': figure(each)} for name, each in found.items()}
    rows |= {name: {**rows[name], f'{ALL}, to it': quotients(found[ALL], found[name])} for name in methods}
    return {**rows, ALL: {**rows[ALL], 'share of equal label maps': sum(equal) / len(equal)}}


def scenes_board(load: Workload) -> dict[str, Row]:
    """The leaderboard's command on the embedded scenes, one thread: cells in one pass, and each as a run of its own."""
    command = ['tools/leaderboard.py', '--data-sets', 'scenes', '--methods', *SEVEN]
    command += ['--cfg-options', 'test_dataloader.dataset.indices=4'] * load.quick

    def run(*options: str) -> None:
        with tempfile.TemporaryDirectory() as out, mock.patch.dict(os.environ, OMP_NUM_THREADS='1'):
            python([*command, '--out', out, '--work-dir', f'{out}/logs', *options])

    ways = {'one pass': lambda r: run(), 'one by one': lambda r: run('--one-by-one')}
    return Measured(ways, load.few, CPU).rows(to='one pass')


def processes(load: Workload) -> dict[str, Row]:
    """An evaluation by one process on one core and by two on two, with one thread each."""
    images, cores = load.size(min(100, len(load.files)), 4), sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise ValueError('two processes with a core each need 2 cores, there is 1')

    def run(count: int) -> dict[str, float]:
        os.sched_setaffinity(0, cores[:count])  # of all that is started
        try:
            wall = cost_of(lambda: found.update(evaluation(load, folder, images, count)), CPU)[1]
        finally:
            os.sched_setaffinity(0, cores)
        numbers = {IMAGES: found['images_per_second'], 'seconds of the whole run': wall}
        numbers |= {'MiB of a process': found['peak_memory_mib']['process']}
        return numbers | {'mIoU': found['metrics']['mIoU']}

    found: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        evaluation(load, folder, images=2)  # fills the cache of words
        runs = take_turns({n: lambda r, n=n: run(n) for n in (1, 2)}, load.few)
    one, two = ({key: [run[key] for run in found] for key in found[0]} for found in runs.values())
    to_one = {f'{key}, to one': quotients(two[key], one[key]) for key in list(one)[:2]}
    rows = [{key: figure(values) for key, values in found.items()} for found in (one, two)]
    return {'1 process': rows[0], '2 processes': {**rows[1], **to_one}}


def loop(load: Workload) -> dict[str, Row]:
    """From photos on disk to figures, against the plain tower on the same windows and one window at a time."""
    batch, window_batch, most, looped = AMOUNTS['quick' if load.quick else load.device.type]
    images = [load.image(i)[0] for i in range(min(most, len(load.files)))]
    precision, words = 'bf16' if load.device.type == 'cuda' else 'fp32', load.encoders.text('voc21')
    run = TowerRunner(precision)
    plain = load.plain((224, 224)).to(run.dtype or torch.float32)
    parts = torch.cat([windows(image) for image in images]).to(plain.proj.dtype).split(window_batch)
    options = {'model.test_cfg.window_batch': window_batch, 'model.test_cfg.precision': precision}

    def evaluated(r: int) -> float:
        result = evaluation(load, folder, len(images), **options, **{'test_dataloader.batch_size': batch})
        return result.get('images_per_second_after_first_batch') or result['images_per_second']

    def towers(r: int) -> float:
        return len(images) / cost_of(lambda: [plain(part) for part in parts], load.device)[1]

    def one_window(r: int) -> float:
        tasks = [(run, load.tower, image, words, VOC_PHOTO) for image in images[:looped]]
        return len(tasks) / cost_of(lambda: [window_loop(*task) for task in tasks], load.device)[1]

    ways = {'the evaluation': evaluated, 'the plain tower': towers, 'one window at a time': one_window}
    with tempfile.TemporaryDirectory() as folder:
        take_turns(ways, 1)  # warms up, and fills the cache of words
        rates = take_turns(ways, load.few)
    ratios = {n: {'the evaluation to it': quotients(rates['the evaluation'], rates[n])} for n in rates}
    return {name: {IMAGES: figure(rate), **ratios[name]} for name, rate in rates.items()}


def evaluation(load: Workload, folder: str, images: int, processes: int = 0, **options: Any) -> dict:
    """Results of `clipsurgery_voc` with random weights; processes with one thread each, 0: one with all threads."""
    root, suffix = str(load.files[0].parents[1]), load.files[0].suffix
    cfg = read_config('clipsurgery_voc', {'randomness.seed': 0, **options})
    cfg.test_dataloader.dataset.update(data_root=root, img_suffix=suffix, indices=images)
    for tower in (cfg.model.backbone, cfg.model.text_encoder):
        tower.update(arch=load.arch, pretrained='random')
    cfg.model.text_encoder.text_cache = f'{folder}/words'
    threads = str(1 if processes else torch.get_num_threads())
    with mock.patch.dict(os.environ, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads):
        return evaluate_in_processes(cfg, Path(folder, 'run'), max(processes, 1), preflight=False)
