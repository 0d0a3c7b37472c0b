"""Small photos, and the tiny CLIP that the Python interface and the command line are asked about."""

import json
from pathlib import Path
from typing import Any

import tiny
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.api.model import SurgeryModel

import numpy as np
from PIL import Image
from safetensors.torch import save_file

ARCH = tiny.changed(tiny.SMALL, text_cfg={'vocab_size': 49408})  # patch 4, trained at 12 x 12, 3 blocks
SURGERY = dict(last_blocks=2, affinity='vv', position='bilinear')
SEED = 1


def photo(height: int = 30, width: int = 44, seed: int = 0) -> np.ndarray:
    """Coloured blots, "H W 3" uint8."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def model(surgery: Any = SURGERY, **settings: Any) -> SurgeryModel:
    """The tiny CLIP, its short sides 24 pixels, words through one template."""
    defaults = dict(templates='bare', text_cache=False, short_side=24, explain_side=24, recognise_side=24)
    return load(ARCH, str(tiny.weights_file(ARCH, SEED)), surgery, **{**defaults, **settings})


def folder(path: Path, arch: dict = ARCH, seed: int = SEED, mean: float = 0.5, std: float = 0.25) -> Path:
    """The tiny CLIP as a folder in open_clip's local-dir form."""
    path.mkdir(parents=True, exist_ok=True)
    save_file(tiny.tensors(arch, seed), str(path / 'open_clip_model.safetensors'))
    preprocess = {'mean': [mean] * 3, 'std': [std] * 3}
    config = {'model_cfg': arch, 'preprocess_cfg': preprocess}
    (path / 'open_clip_config.json').write_text(json.dumps(config))
    return path
