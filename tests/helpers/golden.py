"""Golden numbers: what the authors' public codes computed on the tensors of `golden_weights`.

`tests/golden/<method>_<key>_<height>x<width>.npz`, and `pamr_dev`, `pipeline_*`. Arrays are fp32 from a
CPU. The keys name the weights:

    vit_dev  vision: width 128, 8 layers, patch 16, trained at 64 x 64; joint embedding 64; seed 11
    rn_dev   vision: ModifiedResNet width 16, layers (1, 1, 1, 1), trained at 64 x 64; joint 64; seed 12
    both     text: width 64, 2 layers, 1 head, context 16, vocabulary 128; QuickGELU; head width 64

Images are `golden_weights.image((b, 3, h, w), seed)`, b = 2 at the trained size and 1 elsewhere. In
`sclip_*`, `naclip_*`, `kk_reduced_*` and `gem_*` row 0 of `features` is a side-stream class token that
nothing uses: compare rows 1 and up.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parents[1] / 'golden'
TOLERANCE = 1e-5  # of the largest magnitude of the reference

SEEDS = {'vit_dev': 11, 'rn_dev': 12}
TEXT_CONFIG = {'width': 64, 'layers': 2, 'heads': 1, 'context_length': 16, 'vocab_size': 128}
ARCHITECTURES = {  # open_clip's model JSON
    'vit_dev': {
        'embed_dim': 64,
        'quick_gelu': True,
        'vision_cfg': {'image_size': 64, 'patch_size': 16, 'width': 128, 'layers': 8, 'head_width': 64},
        'text_cfg': TEXT_CONFIG,
    },
    'rn_dev': {
        'embed_dim': 64,
        'quick_gelu': True,
        # open_clip derives the attention pool's heads from both: width * 32 // head_width = 8
        'vision_cfg': {'image_size': 64, 'width': 16, 'layers': [1, 1, 1, 1], 'head_width': 64},
        'text_cfg': TEXT_CONFIG,
    },
}


def names(pattern: str = '*') -> list[str]:
    """Stems of the golden files that match a glob, sorted: `names('cs_vit_*')`."""
    return sorted(path.stem for path in FOLDER.glob(f'{pattern}.npz'))


def load(name: str) -> dict[str, Tensor]:
    """Arrays of one golden file as tensors: `load('cs_vit_dev_64x64')['features']`."""
    with np.load(FOLDER / f'{name}.npz') as arrays:
        return {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays.files}


def seed_of(name: str) -> int:
    """Seed of the weights, image and texts of a golden file."""
    return next(seed for key, seed in SEEDS.items() if key in name)


def size_of(name: str) -> tuple[int, int]:
    """(height, width) in pixels of the input image, read from the end of a file's name."""
    height, width = name.rpartition('_')[2].split('x')
    return int(height), int(width)


def assert_close(actual: Tensor, reference: Tensor, tolerance: float = TOLERANCE) -> None:
    """Largest |difference| at most `tolerance` x largest |reference|; same shape, nothing NaN."""
    assert actual.shape == reference.shape, f'shape {tuple(actual.shape)}, expected {tuple(reference.shape)}'
    difference = (actual.detach().double() - reference.double()).abs().max().item()
    bound = tolerance * reference.double().abs().max().item()
    assert difference <= bound, f'largest difference {difference:.3g} > {bound:.3g}'
