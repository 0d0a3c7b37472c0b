"""The models that a command line asks for, a surgery each; they share their weights."""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..api.devices import check_device
from ..api.loading import load
from ..api.model import SurgeryModel
from ..clip.archs import read_arch
from ..compatibility import reads_guide
from ..environment.extensions import digest_of
from ..environment.launchers import check_gpu, process_of
from ..environment.paths import user_path
from ..guides.weights import weights_path
from ..surgery import Surgery
from .origins import UNCOMPARED, file_sha256, weights_file, weights_sha256

ARCH, WEIGHTS = 'ViT-B-16', 'openai'


def load_models(arguments: argparse.Namespace, *sizes: str) -> dict[str, SurgeryModel]:
    """The models, by their surgeries' names.

    Args:
        arguments: of `options.add_common`.
        sizes: which input sizes `--short-side` sets, arguments of `load`.

    Raises:
        ValueError, FileNotFoundError: see `load`; random weights are refused.
    """
    device = device_of(arguments)
    for given in (arguments.arch, arguments.weights, arguments.templates):
        if given is not None and '{' not in given:
            user_path(given)  # as a path, if it is one
    arch, weights = arguments.arch, arguments.weights
    if arch is None:
        arch, weights = ARCH, weights or WEIGHTS
    if weights is None and read_arch(arch)[1] is None:
        raise ValueError(
            f'--arch {arch} brings no weights of its own; add --weights, an open_clip tag or a file'
        )
    first, *others = arguments.surgery
    guide = guide_of(arguments)
    check_surgeries(arguments.surgery, guide)
    if guide is not None:
        weights_path(guide['pretrained'])
    gelu = None if arguments.quick_gelu is None else arguments.quick_gelu == 'yes'
    sides = {} if arguments.short_side == 'auto' else dict.fromkeys(sizes, arguments.short_side)
    shared: dict[str, Any] = dict(guide=guide, templates=arguments.templates, quick_gelu=gelu)
    model = load(arch, weights, first, layer=arguments.layer, batch=arguments.batch, **shared, **sides)
    model.to(device)
    return {first: model, **{name: model.with_surgery(name) for name in others}}


def check_surgeries(names: Sequence[str], guide: Mapping[str, Any] | None) -> None:
    """Refuse before a model is loaded what `--surgery` can't be.

    Raises:
        ValueError: an unknown surgery, one that is given twice, or one that reads a second tower where there is none.
    """
    for name in names:
        if guide is None and reads_guide(Surgery.read(name)):
            raise ValueError(
                f'--surgery {name} reads the features of a second tower; give its weights as --guide, a file of a '
                'DINO ViT or timm:vit_base_patch8_224.dino'
            )
        if names.count(name) > 1:
            raise ValueError(f'--surgery has {name} twice; give it once')


def guide_of(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Config of the second tower that was asked for, if one was."""
    if arguments.guide is None:
        return None
    return dict(type='DINOViT', arch=arguments.guide_arch, pretrained=arguments.guide)


def device_of(arguments: argparse.Namespace) -> str:
    """The device that was asked for; else a GPU where there is one, of torchrun's processes each its own.

    Raises:
        ValueError: it is not here, or there are more processes than GPUs.
    """
    device = arguments.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if device == 'cuda' and process_of(os.environ)[1] > 1 and torch.cuda.is_available():
        local_rank = int(os.environ.get('LOCAL_RANK', 0))
        device = f'cuda:{check_gpu(local_rank, torch.cuda.device_count())}'
    return str(check_device(device))


def settings_of(
    arguments: argparse.Namespace, models: Mapping[str, SurgeryModel], before: Mapping[str, Any]
) -> dict[str, Any]:
    """What of the models decides the results, as JSON can hold it.

    Args:
        arguments: of `options.add_common`.
        models: by their surgeries' names.
        before: settings of an earlier run in the same folder, perhaps empty.
    """
    encoders = next(iter(models.values())).encoders
    source, file = encoders.text.source, weights_file(encoders.text.source.weights)
    return {
        'arch': arguments.arch,
        'config': {
            'model': source.config,
            'quick_gelu': source.quick_gelu,
            'mean': source.mean,
            'std': source.std,
            'tokenizer': encoders.text.tokenizer.fingerprint,
        },
        'weights': weights_sha256(file, before),
        UNCOMPARED: file,
        'surgery': {name: surgery_settings(name, model.encoders.surgery) for name, model in models.items()},
        **({} if arguments.layer is None else {'layer': arguments.layer}),
        **({'guide': guide_settings(arguments)} if arguments.guide else {}),
        'templates': encoders.text.templates,
        'short_side': vars(encoders.sizes),
    }


def guide_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The second tower's config, and the SHA-256 of its weights."""
    return {**(guide_of(arguments) or {}), 'weights': file_sha256(weights_path(arguments.guide))}


def surgery_settings(name: str, surgery: Surgery) -> dict[str, Any]:
    """A surgery's fields, and the SHA-256 of own files (`--import`) that added it or its affinity."""
    affinities = {row: digest_of('affinity', row) for row in surgery.affinities()}
    return {**surgery.as_dict(), 'own_files': {'surgery': digest_of('surgery', name), 'affinity': affinities}}
