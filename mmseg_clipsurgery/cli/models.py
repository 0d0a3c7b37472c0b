"""The models that a command line asks for, a surgery each; they share their weights."""

import argparse

import torch

from ..api.loading import load
from ..api.model import SurgeryModel
from ..clip.sources import read_arch

ARCH, WEIGHTS = 'ViT-B-16', 'openai'


def load_models(arguments: argparse.Namespace, size: str) -> dict[str, SurgeryModel]:
    """The models, by their surgeries' names.

    Args:
        arguments: of `options.add_common`.
        size: which input size `--short-side` sets, an argument of `load`.

    Raises:
        ValueError, FileNotFoundError: see `load`; random weights are refused.
    """
    arch, weights = arguments.arch, arguments.weights
    if arch is None:
        arch, weights = ARCH, weights or WEIGHTS
    if weights is None and read_arch(arch)[1] is None:
        raise ValueError(
            f'--arch {arch} brings no weights of its own; add --weights, an open_clip tag or a file'
        )
    first, *others = arguments.surgery
    gelu = None if arguments.quick_gelu is None else arguments.quick_gelu == 'yes'
    sizes = {} if arguments.short_side == 'auto' else {size: arguments.short_side}
    model = load(arch, weights, first, templates=arguments.templates, quick_gelu=gelu, **sizes)
    model.to(device_of(arguments))
    return {first: model, **{name: model.with_surgery(name) for name in others}}


def device_of(arguments: argparse.Namespace) -> str:
    """The device that was asked for; else a GPU where there is one."""
    return arguments.device or ('cuda' if torch.cuda.is_available() else 'cpu')


def settings_of(arguments: argparse.Namespace) -> dict[str, object]:
    """The model's options that decide the results."""
    names = ('arch', 'weights', 'surgery', 'templates', 'quick_gelu', 'short_side')
    return {name: getattr(arguments, name) for name in names}
