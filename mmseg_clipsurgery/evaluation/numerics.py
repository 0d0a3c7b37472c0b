"""By which arithmetic figures were computed: precision, TF32, and the GPU with its driver.

`precision` and `tf32` are in effect in the tower: `inference.precision` switches TF32 off there unless it is asked for,
whatever torch's own settings are. `float32_matmul_precision` is torch's own setting, which holds for all else.
"""

import subprocess
from typing import Any

import torch


def numerics(precision: str | None, device: torch.device) -> dict[str, Any]:
    """Precision of a run and what it depends on; what a CPU does not have is None.

    Args:
        precision: `test_cfg.precision`; None: the model is not ours.
        device: of the model.
    """
    on_gpu = device.type == 'cuda'
    return {
        'precision': precision,
        'tf32': precision == 'tf32' if on_gpu and precision in ('fp32', 'tf32') else None,
        'float32_matmul_precision': matmul_precision(),
        'gpu': device_name(device) if on_gpu else None,
        'driver': driver_version() if on_gpu else None,
        'cuda': torch.version.cuda,
        'cudnn': torch.backends.cudnn.version() if on_gpu else None,
    }


def matmul_precision() -> str:
    """torch's setting: 'highest', 'high' or 'medium'; 'mixed' where a user set it by backend."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return 'mixed'


def device_name(device: torch.device) -> str:
    """'cpu', or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else str(device)


def driver_version() -> str | None:
    """Version of NVIDIA's driver; None where its tool does not say."""
    command = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.splitlines()[0].strip() if said.strip() else None
