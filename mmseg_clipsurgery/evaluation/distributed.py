"""Processes of a test run: nccl with GPUs, gloo without.

MMEngine's own launcher calls `torch.cuda.set_device` whatever the backend and wraps the model for the GPU of its rank,
so neither works on a CPU. Here the process group is there before the Runner is built, which then leaves it alone.

| launcher | processes are found in |
|---|---|
| pytorch (torchrun) | RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT |
| slurm | SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_NODELIST |
| mpi (Open MPI) | OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE, OMPI_COMM_WORLD_LOCAL_RANK, MASTER_ADDR |
"""

import os
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
from mmengine.config import Config
from torch import distributed

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
PREFIXES = {
    'slurm': dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID'),
    'mpi': dict(
        RANK='OMPI_COMM_WORLD_RANK',
        WORLD_SIZE='OMPI_COMM_WORLD_SIZE',
        LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK',
    ),
}
PORT = '29500'  # torch's own default


def start(launcher: str, cfg: Config) -> None:
    """Join the process group of a launcher and make `cfg` fit it; with 'none' do nothing.

    Args:
        launcher: one of `LAUNCHERS`.
        cfg: `env_cfg.dist_cfg.timeout` (seconds) is heeded; `launcher` and, without a GPU, `model_wrapper_cfg` are set.

    Raises:
        ValueError: the launcher's variables are not set, or a process has no GPU of its own.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    os.environ.update(variables(launcher, os.environ))
    settings: dict[str, Any] = cfg.get('env_cfg', {}).get('dist_cfg', {})
    timeout = timedelta(seconds=settings['timeout']) if settings.get('timeout') else None
    if torch.cuda.is_available():
        take_gpu(int(os.environ['LOCAL_RANK']), torch.cuda.device_count())
        distributed.init_process_group(settings.get('backend', 'nccl'), timeout=timeout)
    else:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False
        )
        distributed.init_process_group('gloo', timeout=timeout)


def stop() -> None:
    """Leave the process group, if there is one."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def variables(launcher: str, environment: Mapping[str, str]) -> dict[str, str]:
    """RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT of a launcher's process.

    Raises:
        ValueError: they are not all there: the process was not started by this launcher.
    """
    names = PREFIXES.get(launcher, {name: name for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')})
    missing = [name for name in names.values() if name not in environment]
    if missing:
        raise ValueError(
            f'--launcher {launcher} and {", ".join(missing)} not set: start the processes with {_starter(launcher)}'
        )
    found = {name: environment[source] for name, source in names.items()}
    address = environment.get('MASTER_ADDR') or _first_host(launcher, environment)
    return {**found, 'MASTER_ADDR': address, 'MASTER_PORT': environment.get('MASTER_PORT', PORT)}


def take_gpu(local_rank: int, gpus: int) -> None:
    """Make the GPU of this process current.

    Raises:
        ValueError: this machine has fewer GPUs than processes.
    """
    if local_rank >= gpus:
        raise ValueError(
            f'process {local_rank + 1} on this machine has no GPU, there are {gpus}: start {gpus} processes'
        )
    torch.cuda.set_device(local_rank)


def _starter(launcher: str) -> str:
    return {'slurm': 'tools/slurm_test.sh (srun)', 'mpi': 'mpirun'}.get(
        launcher, 'tools/dist_test.sh (torchrun)'
    )


def _first_host(launcher: str, environment: Mapping[str, str]) -> str:
    nodes = environment.get('SLURM_NODELIST')
    if launcher == 'slurm' and nodes:
        listed = subprocess.run(
            ['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True
        )
        return listed.stdout.split()[0]
    return '127.0.0.1'
