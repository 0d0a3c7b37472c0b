"""What a model's own training makes of a cosine: `logit_scale` and, where each pair has a sigmoid, `logit_bias`.

    CLIP      softmax over texts of  min(exp(logit_scale), 100) cosine
    SigLIP    sigmoid of             exp(logit_scale) cosine + logit_bias

Both stand in the file of weights; what is read is kept for each file as long as it stays the same.
"""

import math
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from ..recognition import MOST_LOGIT_SCALE
from .checkpoints import no_weight, read_weights


def own_logit_scale(weights: Path | None) -> float:
    """exp(logit_scale) of a CLIP's file, at most 100; 100 where there is no file or it holds none.

    Raises:
        ValueError: it is no finite number.
    """
    return MOST_LOGIT_SCALE if weights is None else _scale_and_bias(*version_of(weights))[0]


def own_logit_bias(weights: Path | None) -> float | None:
    """logit_bias of a file; None where there is no file or it holds none. Raises ValueError as `own_logit_scale`."""
    return None if weights is None else _scale_and_bias(*version_of(weights))[1]


def version_of(weights: Path) -> tuple:
    """A file and what changes with its content."""
    state = weights.stat()
    return weights, state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino


@lru_cache(maxsize=16)
def _scale_and_bias(weights: Path, *version: int) -> tuple[float, float | None]:
    found = {name.rpartition('.')[2]: value for name, value in read_weights(weights).items()}
    bias = number_of('logit_bias', found['logit_bias'], weights) if 'logit_bias' in found else None
    if 'logit_scale' not in found:
        return MOST_LOGIT_SCALE, bias
    value = number_of('logit_scale', found['logit_scale'], weights)
    if bias is not None:
        return math.exp(min(value, MOST_LOGIT_SCALE)), bias
    return min(math.exp(min(value, MOST_LOGIT_SCALE)), MOST_LOGIT_SCALE), bias


def number_of(name: str, value: Tensor, weights: Path) -> float:
    """A tensor of one number. Raises ValueError where it is no finite one."""
    if trouble := no_weight(value) or (value.numel() != 1 and f'has the shape {tuple(value.shape)}'):
        raise ValueError(f'{weights}: {name} must be one finite number and {trouble}; fetch the file again')
    return float(value)
