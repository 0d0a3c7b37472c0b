"""Perception Encoder's PE-Core towers: rotary positions beside the table, and an attention pool over all tokens.

The class token is one of the tokens that the pool reads (the largest tower has none). The authors find the best dense
features in middle blocks: `layer` reads the patches there.

Source: Perception Encoder (arXiv 2504.13181), in the form of open_clip's configs.
"""

from collections.abc import Mapping
from typing import Any

from .pooled_vit import PooledViT


class CLIPSurgeryPE(PooledViT):
    """PE-Core's towers; arguments as `ImageTower`."""

    title = 'a Perception Encoder'

    @classmethod
    def recognises(cls, vision: Mapping[str, Any]) -> bool:
        core = str(vision.get('timm_model_name')).startswith('vit_pe_core_')
        return core and vision.get('timm_pool') == 'map' and not vision.get('timm_proj')
