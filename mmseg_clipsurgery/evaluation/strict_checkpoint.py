"""Load a segmentor's state dict and refuse one that does not fit; nothing pickled is executed."""

from collections.abc import Mapping, Sequence
from pickle import UnpicklingError

import torch


def load_checkpoint(model: torch.nn.Module, path: str) -> None:
    """Load a segmentor's state dict, bare or under `state_dict`.

    Raises:
        ValueError: the file is no such thing, or its keys or shapes are not those of the model.
    """
    try:
        loaded = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f'{path} is no checkpoint of tensors ({reason}): make one with python -m mmseg_clipsurgery export, '
            "or give a CLIP's weights as pretrained in the config"
        ) from None
    state = loaded.get('state_dict', loaded) if isinstance(loaded, Mapping) else {}
    state = {
        key.removeprefix('module.'): value for key, value in state.items() if isinstance(value, torch.Tensor)
    }
    expected = model.state_dict()
    problems = {
        'missing': sorted(expected.keys() - state.keys()),
        'unexpected': sorted(state.keys() - expected.keys()),
        'of another shape': sorted(
            key for key in expected.keys() & state.keys() if expected[key].shape != state[key].shape
        ),
    }
    found = [f'{len(keys)} {kind} ({_first(keys)})' for kind, keys in problems.items() if keys]
    if found:
        raise ValueError(
            f'the checkpoint {path} is not of this model, keys: {", ".join(found)}: take the config it was exported '
            "with, or give a CLIP's weights as pretrained in the config"
        )
    model.load_state_dict(state)


def _first(keys: Sequence[str], count: int = 3) -> str:
    return ', '.join(keys[:count]) + (', ...' if len(keys) > count else '')
