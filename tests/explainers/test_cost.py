"""What explainers cost: operations in units of one pass of a ViT-B/16 over one image, for three texts.

`docs/explain.md` states them; here they are limited: a last-block explainer must share the walk to the last
block and differentiate one token alone.
"""

import tiny
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.explainers.cost import cost
from mmseg_clipsurgery.explainers.table import EXPLAINERS

import pytest

# 12 blocks on 197 tokens as ViT-B/16, of a quarter of its width.
ARCH = tiny.changed(
    tiny.SMALL, vision_cfg={'image_size': 224, 'patch_size': 16, 'width': 192, 'layers': 12, 'head_width': 64}
)
LIMITS = {
    'attention': 1.1,
    'rollout': 1.1,
    'grad_cam': 1.1,
    'relevance': 1.1,
    'grad_eclip': 1.1,
    'grad_eclip_one_head': 1.1,
    'legrad': 1.5,
    'legrad_all': 4.0,
    'relevance_all': 4.0,
}


def costs(arch) -> dict[str, float]:
    """Of each explainer, in units of a pass of the tower."""
    tower = CLIPSurgeryViT(arch, surgery='clip')
    return {name: cost(EXPLAINERS[name], tower) for name in LIMITS}


@pytest.mark.slow
def test_costs():
    found = costs(ARCH)
    assert not {name: cost for name, cost in found.items() if not 0.9 < cost <= LIMITS[name]}
