"""open_clip's towers, built from a `Source` and filled with its weights.

Only `_build_vision_tower`, `_build_text_tower` and their config classes of open_clip are used. Weights come from the
`Source` alone: what a config says of weights to fetch (timm's, Hugging Face's) is not heeded.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import open_clip.model
from torch import nn

from ..environment.files import reason
from ..environment.stack import distribution_version
from .checkpoints import load_tower, read_weights
from .remote_code import looked_at
from .sources import Source

logger = logging.getLogger('mmseg_clipsurgery')

FEWEST_BYTES = 2  # of a weight, see `checkpoints.WEIGHT_TYPES`
NO_DANGER = 256 << 20  # bytes that a tower may take, whatever its file says


def build_image_tower(source: Source) -> nn.Module:
    """open_clip's image tower with its weights, in eval mode.

    Args:
        source: what `sources.resolve` returned.

    Raises:
        ValueError: its config is illegal, or the weights do not fit.
    """
    left_out = ('patch_dropout', 'timm_model_pretrained')
    settings = {key: value for key, value in source.config['vision_cfg'].items() if key not in left_out}
    tower = build(open_clip.model._build_vision_tower, open_clip.model.CLIPVisionCfg, source, settings)
    return load(tower, 'visual', source)


def build_text_tower(source: Source) -> nn.Module:
    """open_clip's text tower with its weights, in eval mode. Raises ValueError as `build_image_tower`."""
    if 'text_cfg' not in source.config:
        raise ValueError(f'{source.label} has no text_cfg, so no text tower')
    # The tokenizer's settings are no part of the tower; older releases of open_clip do not know them.
    settings = {
        key: value for key, value in source.config['text_cfg'].items() if not key.startswith('tokenizer_')
    }
    if settings.get('hf_model_name'):
        settings['hf_model_name'] = looked_at(settings['hf_model_name'], source.fetches)
        settings['hf_model_pretrained'] = False
    tower = build(open_clip.model._build_text_tower, open_clip.model.CLIPTextCfg, source, settings)
    return load(tower, 'text', source)


def build(
    builder: Callable[..., nn.Module], config_class: type, source: Source, settings: Mapping[str, Any]
) -> nn.Module:
    """A tower by open_clip's own builder. Raises ValueError for what open_clip refuses."""
    check_fits(source, settings)
    try:
        return builder(source.config['embed_dim'], config_class(**settings), source.quick_gelu)
    except Exception as error:  # whatever open_clip, torch or transformers make of an illegal value
        raise ValueError(
            f'{source.label}: open_clip {distribution_version("open_clip_torch")} cannot build this tower '
            f'({reason(error)}); see its {config_class.__name__} for the fields'
        ) from error


def check_fits(source: Source, settings: Mapping[str, Any]) -> None:
    """Refuse a transformer that is larger than its file of weights, before memory is taken for it. Raises ValueError.

    Counted are the four matrices of each block's attention, and the rows of the text tower's tables.
    """
    width, layers = settings.get('width'), settings.get('layers')
    if source.weights is None or source.weights.suffix == '.json':
        return  # an index of shards
    if not isinstance(width, int) or not isinstance(layers, int):
        return  # a ResNet, or a tower of timm or transformers, whose own names say its size
    tables = [settings.get(name) for name in ('vocab_size', 'context_length')]
    rows = 4 * layers * width + sum(size for size in tables if isinstance(size, int))
    found = source.weights.stat().st_size
    if (stated := FEWEST_BYTES * rows * width) > max(found, NO_DANGER):
        raise ValueError(
            f'{source.label}: {layers} blocks of width {width} take {stated:,} bytes or more, {source.weights} has '
            f'{found:,}; check that arch and weights belong together'
        )


def load(tower: nn.Module, which: str, source: Source) -> nn.Module:
    """The tower with its weights ('visual' or 'text' of the file), in eval mode."""
    if source.weights is None:
        logger.warning('%s: the %s tower has random weights', source.label, which)
    else:
        load_tower(tower, read_weights(source.weights, source.checksum), which, str(source.weights))
    return tower.eval()
