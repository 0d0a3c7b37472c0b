"""How many processes load photos, set for the machine as a config is read.

Decoding and resizing a photo takes about ten milliseconds of a core: a trifle beside CLIP on a CPU, more than CLIP on a
GPU. So the cores of a machine are shared among the processes of a run, and each leaves one core to itself.
"""

import os
import re

MOST = 8
LOCAL_PROCESSES = (
    'LOCAL_WORLD_SIZE',
    'SLURM_NTASKS_PER_NODE',
    'OMPI_COMM_WORLD_LOCAL_SIZE',
)  # of the launchers


def loading_workers() -> int:
    """Workers of the data loader of this process: at least 1, at most 8."""
    affinity = getattr(os, 'sched_getaffinity', None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(MOST, cores // local_processes() - 1))


def local_processes() -> int:
    """Processes of this run on this machine, as the launcher says; 1 without one."""
    for name in LOCAL_PROCESSES:
        if number := re.match(r'[1-9]\d*', os.environ.get(name, '')):
            return int(number[0])
    return 1
