"""Tiny CLIPs: architectures as dicts, seeded weights in files, and the towers and text encoder built from them.

`VIT` and `RESNET` are the towers of the golden files (`golden.ARCHITECTURES`). Weights have OpenAI's names and are
those of `golden_weights`, so that a tower is a function of (architecture, seed).
"""

import atexit
import copy
import json
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import golden
import golden_weights
from mmseg_clipsurgery.clip.resnet import CLIPSurgeryResNet
from mmseg_clipsurgery.clip.text_encoder import OpenCLIPTextEncoder
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor

VIT = golden.ARCHITECTURES['vit_dev']
RESNET = golden.ARCHITECTURES['rn_dev']
# A still smaller ViT for tests that try many cases: grid 3 x 3, 3 blocks, 2 heads of width 8, GELU.
SMALL: dict[str, Any] = {
    'embed_dim': 12,
    'quick_gelu': False,
    'vision_cfg': {'image_size': 12, 'patch_size': 4, 'width': 16, 'layers': 3, 'head_width': 8},
    'text_cfg': {'width': 16, 'layers': 2, 'heads': 2, 'context_length': 12, 'vocab_size': 64},
}


def changed(arch: Mapping, **parts: Any) -> dict:
    """A copy of an arch dict; dicts among `parts` are merged into the part of that name, other values replace it."""
    arch = copy.deepcopy(dict(arch))
    for name, value in parts.items():
        arch[name] = {**arch[name], **value} if isinstance(value, Mapping) else value
    return arch


def clip(arch: Mapping, seed: int = 0) -> open_clip.CLIP:
    """open_clip's own model of an arch dict, with the seeded weights, in eval mode."""
    model = empty_clip(arch)
    model.load_state_dict(tensors(arch, seed), strict=False)
    return model.eval()


def empty_clip(arch: Mapping) -> open_clip.CLIP:
    """open_clip's own model as it is initialised; settings of the tokenizer are left out, old releases refuse them."""
    config = copy.deepcopy(dict(arch))
    config['text_cfg'] = {
        key: value for key, value in config['text_cfg'].items() if not key.startswith('tokenizer_')
    }
    return open_clip.CLIP(**config)


def tensors(arch: Mapping, seed: int = 0) -> dict[str, Tensor]:
    """The seeded weights by OpenAI's names, the caller's own."""
    return {name: value.clone() for name, value in _tensors(json.dumps(arch, sort_keys=True), seed).items()}


@cache
def _tensors(arch: str, seed: int) -> dict[str, Tensor]:
    with torch.device('meta'):
        shapes = {name: value.shape for name, value in empty_clip(json.loads(arch)).state_dict().items()}
    return golden_weights.state_dict(shapes, seed)


def weights_file(arch: Mapping, seed: int = 0, suffix: str = '.safetensors') -> Path:
    """A state dict file with the seeded weights, made once; '.pt' takes five times as long to read."""
    return _weights_file(json.dumps(arch, sort_keys=True), seed, suffix)


@cache
def _weights_file(arch: str, seed: int, suffix: str) -> Path:
    path = folder() / f'{_weights_file.cache_info().misses}{suffix}'
    write = save_file if suffix == '.safetensors' else torch.save
    write(tensors(json.loads(arch), seed), path)
    return path


@cache
def folder() -> Path:
    folder = tempfile.mkdtemp(prefix='tiny-clips-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def vit(surgery: Any = 'clip_surgery', arch: Mapping = VIT, seed: int = 0, **settings: Any) -> CLIPSurgeryViT:
    """A ViT read by a surgery, with the seeded weights."""
    return CLIPSurgeryViT(arch, weights_file(arch, seed), surgery, **settings)


def resnet(
    surgery: Any = 'clip_surgery', arch: Mapping = RESNET, seed: int = 0, **settings: Any
) -> CLIPSurgeryResNet:
    """A ResNet read by a surgery, with the seeded weights."""
    return CLIPSurgeryResNet(arch, weights_file(arch, seed), surgery, **settings)


def text_encoder(arch: Mapping = VIT, seed: int = 0, **settings: Any) -> OpenCLIPTextEncoder:
    """A text encoder with the seeded weights; no disk cache unless asked for."""
    settings = {'text_cache': False, 'templates': ['{}'], **settings}
    return OpenCLIPTextEncoder(arch, weights_file(arch, seed), **settings)


def images(*shape: int, seed: int = 0) -> Tensor:
    """White noise "b 3 H W"."""
    return golden_weights.image(shape, seed)
