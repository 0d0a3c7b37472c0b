"""The families of image towers: one row each, and the tower of any arch.

A family is a subclass of `tower.ImageTower` in a file of its own: it says how the family is recognised, how a tower is
checked, and how its blocks are read; open_clip builds it. The table is open: `FAMILIES['mine'] = MyTower`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..environment.extensions import open_table
from .archs import read_arch
from .average_vit import CLIPSurgeryAverageViT
from .perception_encoder import CLIPSurgeryPE
from .resnet import CLIPSurgeryResNet
from .siglip import CLIPSurgerySigLIP
from .timm_vit import CLIPSurgeryTimmViT
from .tower import FAMILIES, ImageTower, family_of, refusal
from .vit import CLIPSurgeryViT

FAMILIES['vit'] = CLIPSurgeryViT
FAMILIES['average_vit'] = CLIPSurgeryAverageViT
FAMILIES['resnet'] = CLIPSurgeryResNet
FAMILIES['timm_vit'] = CLIPSurgeryTimmViT
FAMILIES['siglip'] = CLIPSurgerySigLIP
FAMILIES['perception_encoder'] = CLIPSurgeryPE
open_table('tower family', FAMILIES)


def tower_class(arch: str | Path | Mapping, cache_dir: str | None = None) -> type[ImageTower]:
    """The class that reads an arch's image tower. Raises ValueError where no family recognises it."""
    config = read_arch(arch, cache_dir)[0]
    family = family_of(config)
    if family is None:
        raise ValueError(refusal(config, str(arch), FAMILIES.values()))
    return FAMILIES[family]


def build_tower(
    arch: str | Path | Mapping,
    pretrained: str | Path | None = None,
    cache_dir: str | None = None,
    **settings: Any,
) -> ImageTower:
    """The image tower of any arch, by the class of its family.

    Args:
        arch, pretrained, cache_dir, settings: as the tower's class.

    Raises:
        ValueError: no family recognises the tower, or see `ImageTower`.
    """
    return tower_class(arch, cache_dir)(arch, pretrained, cache_dir=cache_dir, **settings)
