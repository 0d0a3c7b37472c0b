"""open_clip's own ViTs whose image embedding is the mean of their patches: CLIPA's.

    image embedding = LN(mean of the patches) P     where the norm stands after the pool, as CLIPA's does
                      mean of LN(patch) P           else

What the pool makes of one patch alone, LN(patch) P, is that patch in the joint space. A class token runs along with the
patches and is not read at the end.

Source: CLIPA (arXiv 2305.07017), in the form of open_clip's configs.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .vit import CLIPSurgeryViT


class CLIPSurgeryAverageViT(CLIPSurgeryViT):
    """open_clip's own ViTs with `pool_type='avg'`; arguments as `ImageTower`."""

    title = 'a ViT with average pooling'
    pools = True

    @classmethod
    def recognises(cls, vision: Mapping[str, Any]) -> bool:
        return vision.get('pool_type') == 'avg' and super().recognises({**vision, 'pool_type': 'tok'})

    @property
    def has_class_token(self) -> bool:
        return False

    def embedding(self, x: Tensor) -> Tensor:
        patches = x[:, self.before :]
        if self.visual.final_ln_after_pool:
            return self.to_joint(patches.mean(dim=1))
        return self.to_joint(patches).mean(dim=1)
