"""TorchScript archives in the form of OpenAI's weight files."""

from pathlib import Path

import torch
from torch import Tensor, nn


class Tree(nn.Module):
    """A module whose state dict has the given names."""

    def __init__(self, tensors: dict[str, Tensor]):
        super().__init__()
        for name, value in tensors.items():
            *folders, leaf = name.split('.')
            module: nn.Module = self
            for folder in folders:
                if folder not in module._modules:
                    module.add_module(folder, nn.Module())
                module = module._modules[folder]
            if value.is_floating_point():
                module.register_parameter(leaf, nn.Parameter(value, requires_grad=False))
            else:
                module.register_buffer(leaf, value)


class QuickTree(Tree):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class PlainTree(Tree):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(x)


def save_archive(
    tensors: dict[str, Tensor], path: Path, quick_gelu: bool = False, scripted: bool = False
) -> Path:
    """A TorchScript archive as OpenAI's: half precision, three sizes as buffers, code that shows the activation."""
    sizes = {'input_resolution': 12, 'context_length': 12, 'vocab_size': 64}
    held = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    held |= {name: torch.tensor(value) for name, value in sizes.items()}
    module = QuickTree(held) if quick_gelu else PlainTree(held)
    (torch.jit.script(module) if scripted else torch.jit.trace(module, torch.zeros(3))).save(path)
    return path
