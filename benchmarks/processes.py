"""Section `processes`: the test tool on whole data sets, one process on one core against two on two.

The real thing: `mmseg_clipsurgery.test` with its loader, metrics and process group, on `configs/clipsurgery_voc.py`
with random weights and all photos. Every process is pinned to a core of its own and has one thread. Runs alternate;
words come from the disk cache, which a short run before has filled. Rates are those of the test loop, first batch
included, and, for the whole command, of the wall. In the same rounds the plain tower alone shows what two cores give.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import yardstick
from .clock import progress, summary
from .memory import ROOT
from .subjects import SEED, Photos

COUNTS = (1, 2)


def section(
    photos: Photos, images: int, rounds: int, task: dict[str, Any], options: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Alternate runs of one and two processes.

    Args:
        photos: the folder; scenes are taken as if they were VOC's.
        images: how many of them.
        rounds: runs of each kind.
        task: of the yardstick.
        options: further `--cfg-options`.

    Returns:
        Images a second and seconds of the whole command by number of processes, their ratios, and the mIoU of each run.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < max(COUNTS):
        return {'left out': f'needs {max(COUNTS)} cores, there are {len(cores)}'}
    rates: dict[int, list[float]] = {count: [] for count in COUNTS}
    walls: dict[int, list[float]] = {count: [] for count in COUNTS}
    towers: dict[int, list[float]] = {count: [] for count in COUNTS}
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        run(photos, 2, cores[:1], Path(folder), options)
        begun = time.perf_counter()
        for number in range(rounds):
            for count in COUNTS if number % 2 == 0 else COUNTS[::-1]:
                result, wall = run(photos, images, cores[:count], Path(folder), options)
                rates[count].append(result['images_per_second'])
                walls[count].append(wall)
                found.add(json.dumps(result['metrics'].get('mIoU')))
                towers[count].append(yardstick.rate(task, cores[:count]))
            progress('processes', number + 1, rounds, time.perf_counter() - begun)
    return {
        'images': images,
        'images a second': {str(count): summary(rates[count]) for count in COUNTS},
        'seconds of the command': {str(count): summary(walls[count]) for count in COUNTS},
        'faster': summary([two / one for one, two in zip(rates[1], rates[2], strict=True)]),
        'faster, whole command': summary([one / two for one, two in zip(walls[1], walls[2], strict=True)]),
        'faster, plain tower alone': summary(
            [two / one for one, two in zip(towers[1], towers[2], strict=True)]
        ),
        'same mIoU in every run': len(found) == 1,
        'peak memory of a process, MiB': result['peak_memory_mib']['process'],
    }


def run(
    photos: Photos, images: int, cores: Sequence[int | None], folder: Path, options: dict[str, Any] | None
) -> tuple[dict[str, Any], float]:
    """One run of the test tool, a process for each core: what its `results.json` holds, and seconds on the wall.

    Args:
        photos: the folder.
        images: how many of the list.
        cores: of the processes; None: a process that is not pinned and has all threads.
        folder: for the cache of words, logs and results.
        options: further `--cfg-options`.
    """
    settings = {
        'model.backbone.pretrained': None,
        'model.text_encoder.pretrained': None,
        'randomness.seed': SEED,
        'test_dataloader.dataset.indices': images,
        'test_dataloader.dataset.data_root': str(photos.root),
        'test_dataloader.dataset.img_suffix': photos.suffix,
        **(options or {}),
    }
    command = [
        *(sys.executable, '-m', 'mmseg_clipsurgery.test', 'clipsurgery_voc', '--no-preflight'),
        *('--work-dir', str(folder / 'run'), '--launcher', 'pytorch' if len(cores) > 1 else 'none'),
        *('--cfg-options', *(f'{key}={value}' for key, value in settings.items())),
    ]
    begun = time.perf_counter()
    port = free_port()
    started = [
        start(
            command, core, folder, dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=len(cores), MASTER_PORT=port)
        )
        for rank, core in enumerate(cores)
    ]
    codes = [process.wait() for process in started]
    wall = time.perf_counter() - begun
    if any(codes):
        raise RuntimeError(f'the test tool failed, codes {codes}: {(folder / "log").read_text()[-2000:]}')
    return json.loads((folder / 'run' / 'results.json').read_text()), wall


def start(command: list[str], core: int | None, folder: Path, variables: dict[str, Any]) -> subprocess.Popen:
    """One process; on a core it is pinned and has one thread. Its output goes to a file."""
    environment = {
        **os.environ,
        **{key: str(value) for key, value in variables.items()},
        'MASTER_ADDR': '127.0.0.1',
        **({} if core is None else {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}),
        'PYTHONPATH': str(ROOT),
        'MMSEG_CLIPSURGERY_CACHE': str(folder / 'cache'),
    }
    with (folder / 'log').open('a') as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
