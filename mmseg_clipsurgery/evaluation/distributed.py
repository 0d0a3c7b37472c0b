"""Processes of a test run: nccl with GPUs, gloo without.

MMEngine's own launcher calls `torch.cuda.set_device` whatever the backend and wraps the model for the GPU of its rank,
so neither works on a CPU. Here the process group is there before the Runner is built, which then leaves it alone.
"""

import os
import sys
from datetime import timedelta
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_rank
from torch import distributed

from ..environment.launchers import check_gpu, variables


def start(launcher: str, cfg: Config) -> None:
    """Join the process group of a launcher, unless this process is in it, and make `cfg` fit it.

    Args:
        launcher: one of `LAUNCHERS`; with 'none' nothing is joined.
        cfg: `env_cfg.dist_cfg.timeout` (seconds) is heeded; `launcher` and, without a GPU, `model_wrapper_cfg` are set.

    Raises:
        ValueError: the launcher's variables are not set, or a process has no GPU of its own.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False
        )
    if distributed.is_initialized():
        return
    os.environ.update(variables(launcher, os.environ))
    settings: dict[str, Any] = cfg.get('env_cfg', {}).get('dist_cfg', {})
    timeout = timedelta(seconds=settings['timeout']) if settings.get('timeout') else None
    if gpus:
        torch.cuda.set_device(check_gpu(int(os.environ['LOCAL_RANK']), gpus))
    backend = settings.get('backend', 'nccl') if gpus else 'gloo'
    distributed.init_process_group(backend, timeout=timeout)


def raise_together(mistake: Exception | None) -> None:
    """End all processes where one of them met a mistake; the first one raises it, the others exit."""
    mistakes = [found for found in all_gather_object(mistake) if found is not None]
    if mistakes and get_rank() == 0:
        raise mistakes[0]
    if mistakes:
        sys.exit(1)


def stop() -> None:
    """Leave the process group, if there is one."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
