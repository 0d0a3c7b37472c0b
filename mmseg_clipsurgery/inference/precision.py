"""How a tower is run: its precision, and whether it is compiled. Both off unless asked for.

fp32          as the weights are, convolutions and matrix products in full: by torch's default cuDNN's convolutions
              round their inputs to TF32 (10 bits), which moves features by 1e-3
tf32          fp32 with such products in TF32 on GPUs that have it; elsewhere the same as fp32
bf16, fp16    torch.autocast around the tower; tokens are normalised and compared in fp32 all the same
compiled      torch.compile of the tower's forward; where that fails (no compiler, say) the plain tower serves,
              which is logged once

Autocast converts a tower's matrices anew at every call. So a half copy of the tower holds them converted and shares
everything else with it: the same numbers to the last bit, without the conversions, for half a tower's memory more.
"""

import contextlib
import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..methods.same_label import FeedbackRule
from ..structures import ImageTokens
from ..surgery import Surgery
from .normalization import renormalised

PRECISIONS = {'fp32': None, 'tf32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}
logger = logging.getLogger('mmseg_clipsurgery')


class TowerRunner:
    """Runs a tower with one precision, compiled or not; keeps the tower's half copy and its compiled forward.

    Args:
        precision: 'fp32', 'tf32', 'bf16' or 'fp16'.
        compiled: whether to use torch.compile. It pays for many windows of one size; every new size is compiled anew.

    Raises:
        ValueError: unknown precision.
    """

    def __init__(self, precision: str = 'fp32', compiled: bool = False):
        if precision not in PRECISIONS:
            raise ValueError(f'test_cfg.precision must be one of {", ".join(PRECISIONS)}, got {precision!r}')
        self.dtype = PRECISIONS[precision]
        self.tf32 = precision == 'tf32'
        self.compiled = compiled
        self._compiled: dict[str, Callable[..., Any]] = {}  # method of the tower -> compiled
        self._tower: nn.Module | None = None  # the tower that `_compiled` and `_half_copy` belong to
        self._half_copy: nn.Module | None = None
        self._version: tuple = ()

    def __call__(
        self,
        tower: nn.Module,
        images: Tensor,
        class_token: bool,
        surgery: Surgery | None = None,
        guide: Tensor | None = None,
        feedback: FeedbackRule | None = None,
    ) -> ImageTokens:
        """The tower's tokens of images "b 3 H W".

        Args:
            tower: one of `clip.towers`.
            images: normalised.
            class_token: whether the class token is wanted.
            surgery: another than the tower's own.
            guide: "b c h w", a second tower's features of the same images.
            feedback: for a surgery that is read twice.
        """
        extras = given(guide=guide, feedback=feedback)
        return self._run(tower, 'forward', images, class_token=class_token, surgery=surgery, **extras)

    def read_many(
        self,
        tower: nn.Module,
        images: Tensor,
        surgeries: Mapping[str, Surgery],
        class_token: bool,
        guide: Tensor | None = None,
        feedback: Mapping[str, FeedbackRule] | None = None,
    ) -> dict[str, ImageTokens]:
        """The tower's tokens of images "b 3 H W" under many surgeries, CLIP read once.

        Args:
            tower, images, class_token, guide: as for one surgery.
            surgeries: by names of the caller's.
            feedback: by these names, for those that are read twice.
        """
        extras = given(guide=guide, feedback=feedback or None)
        return self._run(tower, 'read_many', images, surgeries=surgeries, class_token=class_token, **extras)

    def guide_features(self, guide: nn.Module, tower: nn.Module, images: Tensor) -> Tensor:
        """A second tower's features "b c h w" of images "b 3 H W" that are normalised for the first one."""
        dtype = next(guide.parameters()).dtype
        with self.context(images.device.type):
            return guide(renormalised(images.float(), tower, guide).to(dtype))

    def _run(self, tower: nn.Module, method: str, images: Tensor, **options: Any) -> Any:
        """What a method of the tower gives, in the precision."""
        if tower is not self._tower:
            self._tower, self._half_copy, self._compiled = tower, None, {}
        with self.context(images.device.type):
            tower = tower if self.dtype is None else self.converted(tower)
            if self.compiled:
                return self.run_compiled(tower, method, images, **options)
            return plain_method(tower, method)(images, **options)

    def context(self, device_type: str) -> contextlib.AbstractContextManager:
        """Autocast to the precision; without one, whether products may be TF32."""
        return torch.autocast(device_type, dtype=self.dtype) if self.dtype else float32_products(self.tf32)

    def converted(self, tower: nn.Module) -> nn.Module:
        """The tower's half copy, made anew when a weight of the tower has changed."""
        assert self.dtype is not None
        version = weights_version(tower)
        if self._half_copy is None or self._version != version:
            self._half_copy, self._version, self._compiled = half_copy(tower, self.dtype), version, {}
        return self._half_copy

    def run_compiled(self, tower: nn.Module, method: str, images: Tensor, **options: Any) -> Any:
        """As compiled; where that fails but the plain tower works, plain from then on."""
        if method not in self._compiled:
            self._compiled[method] = torch.compile(getattr(tower, method))
        try:
            return self._compiled[method](images, **options)
        except (
            Exception
        ) as error:  # compilers fail in many ways; a user's mistake is raised by the plain tower
            tokens = plain_method(tower, method)(images, **options)
            self.compiled = False
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            logger.warning('torch.compile does not work here (%s); going on without it', reason)
            return tokens


def given(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def plain_method(tower: nn.Module, method: str) -> Callable[..., Any]:
    """A method of a tower; its forward as torch calls it, with hooks."""
    return tower if method == 'forward' else getattr(tower, method)


@contextlib.contextmanager
def float32_products(tf32: bool) -> Iterator[None]:
    """Inside this block CUDA's convolutions and matrix products of fp32 are TF32, or they are not; then as before."""
    before = []
    try:
        for older, newer in (
            (torch.backends.cudnn, getattr(torch.backends.cudnn, 'conv', torch.backends.cudnn)),
            (torch.backends.cuda.matmul, torch.backends.cuda.matmul),
        ):
            try:
                before.append((older, 'allow_tf32', older.allow_tf32))
                older.allow_tf32 = tf32
            except RuntimeError:  # set by torch's newer names, which the older ones refuse to mix with
                before.append((newer, 'fp32_precision', newer.fp32_precision))
                newer.fp32_precision = 'tf32' if tf32 else 'ieee'
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


def without_autocast(device_type: str) -> torch.autocast:
    """No autocast within; for what is not the image tower, since MMEngine's loops may switch it on for everything."""
    return torch.autocast(device_type, enabled=False)


def half_copy(tower: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A module like the tower whose matrices are of another dtype; all other weights are the tower's own."""
    with torch.inference_mode(False), torch.no_grad():
        ours = {id(value): value for value in (*tower.parameters(), *tower.buffers())}
        ours |= {id(value): nn.Parameter(value.to(dtype), requires_grad=False) for value in matrices(tower)}
        return copy.deepcopy(tower, ours)


def matrices(tower: nn.Module) -> Iterator[nn.Parameter]:
    """What autocast converts for matrix products and convolutions, biases included."""
    for module in tower.modules():
        products = isinstance(module, (nn.Linear, nn.Conv2d))
        for name, value in module.named_parameters(recurse=False):
            if products or name in ('in_proj_weight', 'in_proj_bias', 'proj'):
                yield value


def weights_version(module: nn.Module) -> tuple:
    """Changes whenever a weight is replaced, or written other than through `.data`."""
    return tuple(
        (id(value), value.data_ptr(), 0 if value.is_inference() else value._version)
        for value in module.parameters()
    )
