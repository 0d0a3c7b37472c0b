"""Golden numbers of the newer methods, `tests/golden/newest`, and the inputs that the authors' codes ran on.

    <method>_<tower>_<height>x<width>.npz, pipeline_<method>_<tower>.npz

Every file's `settings` (JSON) says how its inputs are made; `image_head` holds the first 16 pixel values. Files of
`..._fixed_...` are of grids on which the released codes fail, with the one wrong line put right.

    weights   those of `golden_weights`, the attentions' output projections scaled by 0.35; in one block some channels
              of the MLP's output see that channel alone, times a factor, so that a few tokens get a massive activation,
              as CLIP's do. Without either all tokens of a random tower are alike
    image     five tiles of one patch, each repeated over the cells of one of five random points; noise over it
    DINO      `golden_weights` too, under names that it knows the kind of
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import golden
import golden_weights
import tiny
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.guides.dino import DINOViT

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

FOLDER = golden.FOLDER / 'newest'
OUTPUT_SCALE = 0.35
SINKS = (4, 16, 33, 50, 64, 77, 99, 120)  # RF-CLIP's of the tower `vit12_dev`
# DINO's names hold no hint of what a parameter is to `golden_weights`.
DINO_NAMES = {
    'norm': 'ln_',
    'pos_embed': 'positional_embedding',
    'cls_token': 'class_embedding',
    'qkv.weight': 'in_proj_weight',
    'qkv.bias': 'in_proj_bias',
}


def names(pattern: str = '*', folder: Path = FOLDER) -> list[str]:
    """Stems of the files that match a glob, sorted."""
    return sorted(path.stem for path in folder.glob(f'{pattern}.npz'))


def load(name: str, folder: Path = FOLDER) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(arrays as tensors, settings) of one file."""
    with np.load(folder / f'{name}.npz') as arrays:
        settings = json.loads(str(arrays['settings']))
        found = {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays.files if key != 'settings'}
    return found, settings


def arch(tower: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's model JSON of the `tower` of some settings."""
    return {
        'embed_dim': tower['embed'],
        'quick_gelu': True,
        'vision_cfg': {
            'image_size': tower['res'],
            'patch_size': tower['patch'],
            'width': tower['width'],
            'layers': tower['layers'],
            'head_width': 64,
        },
        'text_cfg': golden.TEXT_CONFIG,
    }


def weights(tower: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of the `tower` of some settings, by OpenAI's names; those of the text tower too."""
    tensors = tiny.tensors(arch(tower), tower['seed'])
    blocks = 'visual.transformer.resblocks.'
    for name in tensors:
        if name.startswith(blocks) and name.endswith('attn.out_proj.weight'):
            tensors[name] = tensors[name] * OUTPUT_SCALE
    if spikes := tower['spikes']:
        matrix = tensors[f'{blocks}{spikes["block"]}.mlp.c_proj.weight']
        for channel in spikes['channels']:
            matrix[channel] = 0
            matrix[channel, channel] = spikes['factor']
    return tensors


def vit(tower: Mapping[str, Any], surgery: Any) -> CLIPSurgeryViT:
    """The `tower` of some settings, read by a surgery."""
    return CLIPSurgeryViT(arch(tower), weights_file(tower), surgery)


def weights_file(tower: Mapping[str, Any]) -> Path:
    """A state dict file with the weights of the `tower` of some settings; made once."""
    return _weights_file(json.dumps(tower))


@cache
def _weights_file(tower: str) -> Path:
    path = tiny.folder() / f'newest-{_weights_file.cache_info().misses}.safetensors'
    save_file(weights(json.loads(tower)), path)
    return path


def image(settings: Mapping[str, Any], key: str = 'image') -> Tensor:
    """The image "1 3 H W" of some settings, normalised pixel values."""
    shape, seed, tile = settings[key]['shape'], settings[key]['seed'], settings['tower']['patch']
    _, channels, height, width = shape
    random = np.random.RandomState(seed)
    points = random.uniform(size=(5, 2)) * (height, width)
    tiles = random.standard_normal((5, channels, tile, tile))
    noise = random.standard_normal((channels, height, width))
    y, x = np.mgrid[:height, :width]
    cell = ((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2).argmin(-1)
    pixels = 1.2 * tiles[cell, :, y % tile, x % tile].transpose(2, 0, 1) + 0.5 * noise
    return torch.from_numpy(pixels.astype(np.float32))[None]


def dino_config(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """`guide` of a segmentor for the `dino` of some settings, its weights in a file; None where there is none."""
    if 'dino' not in settings:
        return None
    sizes = dict(settings['dino'])
    seed, image_size = sizes.pop('seed'), sizes.pop('res')
    sizes['image_size'] = image_size
    shapes = {name: tuple(value.shape) for name, value in DINOViT(sizes).state_dict().items()}
    path = tiny.folder() / f'dino-{seed}-{image_size}.pth'
    torch.save(dino_tensors(shapes, seed), path)
    return dict(type='DINOViT', arch=sizes, pretrained=str(path))


def dino_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Weights of a DINO ViT by DINO's own names."""
    return {name: golden_weights.tensor(dino_name(name), shape, seed) for name, shape in shapes.items()}


def dino_name(name: str) -> str:
    """The name by which `golden_weights` is asked for one of DINO's parameters."""
    for own, known in DINO_NAMES.items():
        name = name.replace(own, known)
    return f'dino.{name}'
