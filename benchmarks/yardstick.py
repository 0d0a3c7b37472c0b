"""What a machine gives to processes of their own: the plain tower on six windows, again and again.

The test tool can't be sped up by a second process more than this is, which needs nothing but its weights.
"""

import json
import os
import subprocess
import sys
import time
from typing import Any

from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT

import torch

from .memory import ROOT

WINDOWS = 6
READY = 'ready\n'


def rate(task: dict[str, Any], cores: list[int]) -> float:
    """Batches of six windows a second, of one process on each core together.

    Args:
        task: arch, and times: how often each process reads the batch.
        cores: of the processes.
    """
    started = [
        subprocess.Popen(
            [sys.executable, '-m', 'benchmarks.yardstick', json.dumps(task)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda core=core: os.sched_setaffinity(0, {core}),
        )
        for core in cores
    ]
    for process in started:
        while process.stdout.readline() not in (READY, ''):
            pass  # libraries print too
    for process in started:
        process.stdin.write('go\n')
        process.stdin.flush()
    seconds = [float(process.communicate()[0].split()[-1]) for process in started]
    return sum(task['times'] / one for one in seconds)


@torch.inference_mode()
def measure(task: dict[str, Any]) -> float:
    """Seconds on the wall, once the word is given."""
    torch.set_num_threads(1)
    tower = CLIPSurgeryViT(task['arch'], None, 'clip_surgery')
    side = tower.config['vision_cfg']['image_size']
    windows, tower = torch.randn(WINDOWS, 3, side, side), tower.visual
    tower(windows)
    print(READY, end='', flush=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    for _ in range(task['times']):
        tower(windows)
    return time.perf_counter() - begun


if __name__ == '__main__':
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    print(measure(json.loads(sys.argv[1])))
