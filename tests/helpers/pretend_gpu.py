"""A GPU that is not there: tensors that say they are on another device, computed by the CPU, with a GPU's rules.

    with PretendGpu() as gpu:
        model.to(gpu.device)
        model.predict([on_gpu(image)])    # an operation that mixes devices fails, as it would on a GPU
        gpu.waits                         # the operations for which the host waited for the device, in order

Where no GPU is at hand this finds what most often breaks on one: a tensor made on the CPU among those of the device,
and code that asks the device for its numbers again and again. It knows nothing of kernels, their rounding or speed.
It stands on torch's Python backends (from 2.10 on); `AVAILABLE` says whether they are there.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

AVAILABLE = hasattr(backend_registration, '_setup_privateuseone_for_python_backend')
NAME = 'pretended_gpu'
TRANSFERS = {'aten::_to_copy', 'aten::copy_', 'aten::to'}
# Indices may still be on the CPU: a GPU fetches them.
INDEXING = {'aten::index', 'aten::index_put', 'aten::index_put_'}
# The shape or the value of what these give is known only when the device has done its work.
WAITING = {
    'aten::_local_scalar_dense',
    'aten::_unique2',
    'aten::bincount',
    'aten::equal',
    'aten::is_nonzero',
    'aten::item',
    'aten::masked_select',
    'aten::nonzero',
    'aten::unique_dim',
}

if AVAILABLE:

    class Backend(backend_registration._DummyBackendModule):
        """What torch asks of a device's Python module."""

        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.bfloat16, torch.float16]

    backend_registration._setup_privateuseone_for_python_backend(NAME, Backend())


class OnGpu(Tensor):
    """A tensor that says it is on the GPU; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> 'OnGpu':
        with torch.inference_mode(False):
            return Tensor._make_wrapper_subclass(
                cls,
                held.shape,
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                layout=held.layout,
                device=torch.device(NAME, 0),
            )

    def __init__(self, held: Tensor):
        self.held = held

    def __repr__(self, **_: Any) -> str:
        return f'OnGpu({self.held!r})'

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f'{func} of a tensor of the pretended GPU, outside of PretendGpu')


class PretendGpu(TorchDispatchMode):
    """Refuses to mix devices and notes when the host waits.

    Attributes:
        device: what tensors and modules are moved to.
        waits: names of the operations that made the host wait for the device.
        launches: how many operations the device got.
    """

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device(NAME, 0)
        self.waits: list[str] = []
        self.launches = 0

    def __enter__(self) -> 'PretendGpu':
        # torch.tensor(list, device=...) makes a CPU tensor first, which an operation that is seen then moves.
        self.lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        # Modules that move get new parameters: those they have can't be turned into tensors of another class.
        self.overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(self.lifted)
        torch.__future__.set_overwrite_module_params_on_conversion(self.overwrites)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        if name == 'aten::_has_compatible_shallow_copy_type':
            return False
        leaves = tree_flatten((args, kwargs))[0]
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        there = [leaf for leaf in tensors if isinstance(leaf, OnGpu)]
        wanted = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
        to_gpu = bool(there) if wanted is None else wanted.type == NAME
        if there and name not in TRANSFERS | INDEXING:
            refuse_a_mixture(func, tensors)
        if there:
            self.launches += 1
            if waits(name, args, to_gpu):
                self.waits.append(name)
        out = func(*tree_map(on_cpu, args), **tree_map(on_cpu, kwargs))
        if name.endswith('_') and isinstance(out, Tensor):
            return args[0]
        if kwargs.get('out') is not None:
            return kwargs['out']
        return tree_map(on_gpu, out) if to_gpu else out

    def start(self) -> None:
        """Count anew."""
        self.waits.clear()
        self.launches = 0


def refuse_a_mixture(func: Any, tensors: list[Tensor]) -> None:
    """As a GPU does; numbers of the CPU without dimensions are fine.

    Raises:
        RuntimeError: a tensor of the CPU among those of the GPU.
    """
    if any(not isinstance(tensor, OnGpu) and tensor.dim() for tensor in tensors):
        places = [f'{tuple(tensor.shape)} on {tensor.device}' for tensor in tensors]
        raise RuntimeError(f'{func} mixes devices: {", ".join(places)}')


def waits(name: str, args: Any, to_gpu: bool) -> bool:
    """Whether the host must wait for the device before it has what an operation on it gives."""
    if name in TRANSFERS:
        return not isinstance(args[0], OnGpu) if name == 'aten::copy_' else not to_gpu
    masks = (
        [one for one in args[1] if one is not None and one.dtype == torch.bool] if name in INDEXING else []
    )
    return name in WAITING or bool(masks)


def on_gpu(value: Any) -> Any:
    """A tensor on the GPU; anything else as it is."""
    return OnGpu(value) if isinstance(value, Tensor) and not isinstance(value, OnGpu) else value


def on_cpu(value: Any) -> Any:
    """The numbers of a tensor of either device; the CPU for any device; anything else as it is."""
    if isinstance(value, OnGpu):
        return value.held
    return torch.device('cpu') if isinstance(value, torch.device) else value
