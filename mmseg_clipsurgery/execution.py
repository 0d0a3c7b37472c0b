"""How a tower is run: its precision, and whether it is compiled. Both off unless asked for.

fp32          as the weights are
bf16, fp16    torch.autocast around the tower; tokens are normalised and compared in fp32 all the same
compiled      torch.compile of the tower's forward; where that fails (no compiler, say) the plain tower serves,
              which is said once
"""

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .structures import ImageTokens

PRECISIONS = {'fp32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}
logger = logging.getLogger('mmseg_clipsurgery')


class TowerRun:
    """Runs a tower with one precision, compiled or not.

    Args:
        precision: 'fp32', 'bf16' or 'fp16'.
        compiled: whether to use torch.compile. It pays for many windows of one size; every new size is compiled anew.

    Raises:
        ValueError: unknown precision.
    """

    def __init__(self, precision: str = 'fp32', compiled: bool = False):
        if precision not in PRECISIONS:
            raise ValueError(f'test_cfg.precision must be one of {", ".join(PRECISIONS)}, got {precision!r}')
        self.dtype = PRECISIONS[precision]
        self.compiled = compiled
        self._forward: Callable[..., Any] | None = None

    def __call__(self, tower: nn.Module, images: Tensor, class_token: bool) -> ImageTokens:
        """The tower's tokens of images "b 3 H W"."""
        with self.autocast(images.device.type):
            if self.compiled:
                return self.run_compiled(tower, images, class_token)
            return tower(images, class_token=class_token)

    def autocast(self, device: str) -> contextlib.AbstractContextManager:
        return torch.autocast(device, dtype=self.dtype) if self.dtype else contextlib.nullcontext()

    def run_compiled(self, tower: nn.Module, images: Tensor, class_token: bool) -> ImageTokens:
        """As compiled; where that fails but the plain tower works, plain from then on."""
        if self._forward is None:
            self._forward = torch.compile(tower.forward)
        try:
            return self._forward(images, class_token=class_token)
        except (
            Exception
        ) as error:  # compilers fail in many ways; a user's mistake is raised again by the plain tower
            tokens = tower(images, class_token=class_token)
            self.compiled = False
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            logger.warning('torch.compile does not work here (%s); going on without it', reason)
            return tokens
