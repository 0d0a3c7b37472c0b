"""Weights as training scripts leave them: containers around a state dict, and prefixes before its names.

    container    {'state_dict': ...}, {'model': ...}, {'model_state_dict': ...} and the like, one in another too
    prefix       module. (DistributedDataParallel), _orig_mod. (torch.compile), model., clip_model. and the like, where
                 every name has it; several one after the other

What was opened and stripped is logged. An average of weights (EMA) beside the weights is not taken, and named.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

logger = logging.getLogger('mmseg_clipsurgery')

CONTAINERS = ('state_dict', 'model_state_dict', 'model', 'module', 'net', 'weights')
AVERAGES = (
    'state_dict_ema',
    'model_ema_state_dict',
    'model_ema',
    'ema_state_dict',
    'ema_model',
    'ema',
    'averaged_model',
)
PREFIXES = ('module.', '_orig_mod.', 'model.', 'clip_model.', 'clip.', 'net.', 'backbone.', 'base_model.')
DEEPEST = 4  # containers in containers


def opened(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds.

    Args:
        content: names with tensors, or a container of such a thing.
        path: the file, for messages.

    Raises:
        ValueError: there is no state dict in it, or an average of weights alone.
    """
    through: list[str] = []
    while isinstance(content, Mapping) and not is_state_dict(content):
        averages = [name for name in AVERAGES if isinstance(content.get(name), Mapping)]
        inside = next((name for name in CONTAINERS if isinstance(content.get(name), Mapping)), None)
        if inside is None and averages:
            raise ValueError(
                f'{path} holds an average of weights alone ({averages[0]!r}); save that part as a file of its own'
            )
        if inside is None or len(through) == DEEPEST:
            break
        if averages:
            logger.warning('%s: %r is taken, the average %r beside it is not', path, inside, averages[0])
        through.append(inside)
        content = content[inside]
    if not is_state_dict(content):
        raise ValueError(f'{path} holds no state dict (names with tensors)')
    if through:
        logger.info('%s: weights read from %s', path, ' > '.join(through))
    return dict(content)


def is_state_dict(content: object) -> bool:
    """Whether it is names with tensors, one at least."""
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
    )


def without_prefixes(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Names without the prefixes that all of them have; what was stripped is logged.

    Args:
        tensors: by name.
        path: the file, for messages.
    """
    found, stripped = dict(tensors), ''
    while prefix := next((p for p in PREFIXES if found and all(name.startswith(p) for name in found)), None):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
        stripped += prefix
    if stripped:
        logger.info('%s: the prefix %s of every name was stripped', path, stripped)
    return found
