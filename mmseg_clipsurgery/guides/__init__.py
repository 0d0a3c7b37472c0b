"""Guides: second towers whose features tell which patches are alike (ProxyCLIP)."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..environment.extensions import open_table
from .dino import DINOViT

# Name -> class, as `guide=dict(type=name, ...)` says it: a module with `patch`, `mean` and `std` that gives features
# "b c h w" of images. The table is open.
GUIDES: dict[str, type[nn.Module]] = {'DINOViT': DINOViT}
open_table('guide', GUIDES)


def build_guide(spec: Mapping[str, Any]) -> nn.Module:
    """The guide of a config: `dict(type='DINOViT', arch='vitb8', pretrained=FILE)`.

    Raises:
        ValueError: no dict with a known `type`, or settings that its class refuses.
    """
    if not isinstance(spec, Mapping) or spec.get('type') not in GUIDES:
        raise ValueError(f'guide must be a dict whose type is one of {", ".join(GUIDES)}, got {spec!r}')
    settings = {name: value for name, value in spec.items() if name != 'type'}
    try:
        return GUIDES[spec['type']](**settings)
    except TypeError as error:
        raise ValueError(f'guide: {spec["type"]} does not take these settings ({error})') from error
