"""SigLIP and SigLIP 2 at fixed resolution: no class token, an attention pool, a sigmoid for each pair.

Sources: SigLIP (arXiv 2303.15343) and SigLIP 2 (arXiv 2502.14786), in the form of open_clip's configs.
"""

from collections.abc import Mapping
from typing import Any

from .pooled_vit import PooledViT


class CLIPSurgerySigLIP(PooledViT):
    """SigLIP's and SigLIP 2's towers; arguments as `ImageTower`."""

    title = 'a SigLIP'

    @classmethod
    def recognises(cls, vision: Mapping[str, Any]) -> bool:
        name, projection = str(vision.get('timm_model_name')), vision.get('timm_proj') or 'none'
        siglip = name.startswith('vit_') and '_siglip_' in name and '_gap_' not in name
        return siglip and vision.get('timm_pool') == 'map' and projection == 'none'
