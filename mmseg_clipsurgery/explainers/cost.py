"""What an explainer costs: operations in units of one pass of its tower over one image.

Operations are those of matrix products, convolutions and attention, counted by torch's own formulas. They depend on
the tower's shape and the number of texts, not on weights, images, the machine or what else it is doing.
"""

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..surgery import SURGERIES
from .explainer import Explainer
from .walk import Tower

TEXTS = 3  # asked for at once


class Operations(TorchDispatchMode):
    """Counts the operations of what runs under it."""

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


@torch.no_grad()
def cost(explainer: Explainer, tower: Tower, texts: int = TEXTS) -> float:
    """Operations of an explainer's maps of one image of the trained size, in units of a pass of the tower.

    Args:
        explainer: one that reads no second tower.
        tower: an image tower, of any weights, in fp32.
        texts: how many are asked for.

    Raises:
        ValueError: a tower that it can't explain.
    """
    size = tower.config['vision_cfg']['image_size']
    height, width = (size, size) if isinstance(size, int) else size
    image, text = torch.zeros(1, 3, height, width), torch.eye(texts, tower.config['embed_dim'])
    unit = operations(lambda: tower.read_many(image, {'it': SURGERIES['clip']}))
    return operations(lambda: explainer(tower, image, text)) / unit
