"""Weights as training scripts leave them: containers around a state dict, and prefixes before its names.

    container    {'state_dict': ...}, {'model': ...}, {'model_state_dict': ...} and the like, one in another too
    wrapper      _orig_mod. (torch.compile) and the like, anywhere in a name
    prefix       module. (DistributedDataParallel), model., clip_model. and the like, where every name has it; several
                 one after the other
    beside       a CLIP under a prefix of its own, and a loss, metrics or other parts of the training under others

What was opened, stripped and left out is logged. An average of weights (EMA) beside the weights is named, not taken.
"""

import logging
from collections.abc import Mapping, Sequence
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
PREFIXES = (
    'state_dict.',
    'module.',
    'model.',
    'clip_model.',
    'clip.',
    'net.',
    'backbone.',
    'base_model.',
)
# Of torch.compile, of activation checkpoints and of FSDP: no module is called so by itself.
WRAPPERS = ('_orig_mod', '_checkpoint_wrapped_module', '_fsdp_wrapped_module')
IMAGE_TOWERS = ('visual', 'vision_model')  # open_clip's and OpenAI's name, Hugging Face's
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
        raise ValueError(f'{path} holds no state dict (names with tensors){strangers(content)}')
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


def strangers(content: Any) -> str:
    """What stands beside tensors and is none, for a message; empty where there are no tensors."""
    values = content if isinstance(content, Mapping) else {}
    names = [str(name) for name, value in values.items() if not isinstance(value, Tensor)]
    if not names or len(names) == len(values):
        return ''
    return f': beside tensors it has {listed(names)}; save the tensors alone'


def without_prefixes(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Names without wrappers' parts and without the prefixes that all of them have; what was stripped is logged.

    Args:
        tensors: by name.
        path: the file, for messages.

    Raises:
        ValueError: two names are the same without wrappers.
    """
    found, stripped = {unwrapped(name): value for name, value in tensors.items()}, ''
    if len(found) < len(tensors):
        raise ValueError(f'{path} holds a model twice, wrapped and not; save one as a file of its own')
    if found.keys() != tensors.keys():
        logger.info('%s: the names of wrappers (%s) were taken out', path, ', '.join(WRAPPERS))
    while prefix := next((p for p in PREFIXES if found and all(name.startswith(p) for name in found)), None):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
        stripped += prefix
    if stripped:
        logger.info('%s: the prefix %s of every name was stripped', path, stripped)
    return found


def unwrapped(name: str) -> str:
    """A tensor's name without wrappers' parts."""
    return '.'.join(part for part in name.split('.') if part not in WRAPPERS)


def one_clip(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The CLIP that stands under a prefix of its own; all names where none does.

    Args:
        tensors: by name.
        path: the file, for messages.

    Raises:
        ValueError: there are several, and not all but one are averages of weights.
    """
    found = list(dict.fromkeys(prefix for prefix in map(before_tower, tensors) if prefix is not None))
    if found in ([], ['']):
        return dict(tensors)
    own = [prefix for prefix in found if not set(prefix.split('.')) & set(AVERAGES)]
    if len(own) != 1:
        what = 'several models' if own else 'an average of weights alone'
        raise ValueError(
            f'{path} holds {what} ({listed([name or "no prefix" for name in own or found])}); save the one that is '
            'wanted as a file of its own'
        )
    (prefix,) = own
    others = tuple(name for name in found if name != prefix)
    kept = [name for name in tensors if name.startswith(prefix) and not name.startswith(others)]
    left = sorted(tensors.keys() - set(kept))
    if left:
        logger.warning('%s: what stands under %r is taken; %s is not', path, prefix, listed(left))
    else:
        logger.info('%s: the prefix %s of every name was stripped', path, prefix)
    return {name.removeprefix(prefix): tensors[name] for name in kept}


def before_tower(name: str) -> str | None:
    """What stands before the image tower in a tensor's name; None: it is of no image tower."""
    parts = name.split('.')
    place = next((k for k, part in enumerate(parts) if part in IMAGE_TOWERS), None)
    return None if place is None else ''.join(f'{part}.' for part in parts[:place])


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names for a message: all of a few, else the first ones and how many more."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return (', '.join(names[:most]) or 'nothing') + more
