"""Load a segmentor's state dict and refuse one that does not fit; nothing pickled is executed."""

import torch

from ..clip.checkpoints import read_tensors
from ..models.segmentor import check_state


def load_checkpoint(model: torch.nn.Module, path: str) -> None:
    """Load a segmentor's state dict, bare or under `state_dict`, or a `.safetensors` file.

    Raises:
        ValueError: the file is no such thing, or its names, shapes or values are not those of the model.
    """
    try:
        state = read_tensors(path)
    except ValueError as error:
        raise ValueError(
            f"the checkpoint {error}; make one with python -m mmseg_clipsurgery export, or give a CLIP's weights as "
            'pretrained in the config'
        ) from error
    check_state(model.state_dict(), state, f'the checkpoint {path}')
    model.load_state_dict(state)
