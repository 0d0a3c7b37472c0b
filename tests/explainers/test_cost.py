"""What explainers cost: operations in units of one pass of a ViT-B/16 over one image, for three texts.

`docs/explain.md` states them; here they are limited: a last-block explainer must share the walk to the last
block and differentiate one token alone.
"""

from collections.abc import Callable

import tiny
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.explainers.table import EXPLAINERS

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

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


class Operations(TorchDispatchMode):
    """Counts the operations of matrix products, convolutions and attention by torch's own formulas."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=found)
        return found


def operations(action: Callable[[], object]) -> int:
    """Operations of an action; attention as its matrix products, since a CPU's fused one has no formula."""
    with Operations() as counter, sdpa_kernel(SDPBackend.MATH):
        action()
    return counter.total


def costs(arch) -> dict[str, float]:
    """Of each explainer, in units of a pass of the tower."""
    tower = CLIPSurgeryViT(arch, surgery='clip')
    image, texts = torch.randn(1, 3, 224, 224), torch.randn(3, arch['embed_dim'])
    unit = operations(lambda: tower(image))
    return {
        name: operations(lambda name=name: EXPLAINERS[name](tower, image, texts)) / unit for name in LIMITS
    }


@pytest.mark.slow
def test_costs():
    found = costs(ARCH)
    assert not {name: cost for name, cost in found.items() if not 0.9 < cost <= LIMITS[name]}
