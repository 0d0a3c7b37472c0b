"""Deterministic inputs of the golden numbers: weights, images and texts from a name, a shape and a seed.

    value = f(leaf of the name) * RandomState(crc32(name) xor seed).standard_normal(shape)

The authors' public codes ran on exactly these tensors, so that no checkpoint is stored next to the
numbers in `tests/golden`. numpy promises never to change the stream of `RandomState`: the same name,
shape and seed give the same tensor on every machine. Parameter names are OpenAI's
(`visual.transformer.resblocks.0.attn.in_proj_weight`), which open_clip's CLIP class uses too. A changed
number here makes every golden file meaningless.
"""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

_LAYER_NORM_PARTS = ('.ln_', 'ln_p', 'ln_final')
_BATCH_NORM_PARTS = ('.bn', '.downsample.1')
_OFFSETS = ('bias', 'in_proj_bias', 'running_mean')
_EMBEDDINGS = ('class_embedding', 'positional_embedding')
_PROJECTIONS = ('proj', 'text_projection')  # stored (in, out)
_ATTENTION_GAIN = 1.6  # sharper attention than a fresh initialisation gives


def state_dict(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, Tensor]:
    """Weights for every parameter and buffer named in `shapes`."""
    return {name: tensor(name, shape, seed) for name, shape in shapes.items()}


def tensor(name: str, shape: Sequence[int], seed: int) -> Tensor:
    """One parameter: fp32 (`num_batches_tracked`: int64), a pure function of its arguments."""
    shape = tuple(shape)
    leaf = name.rpartition('.')[2]
    if name.endswith('num_batches_tracked'):
        return torch.zeros(shape, dtype=torch.long)
    if name.endswith('logit_scale'):
        return torch.tensor(np.log(1 / 0.07), dtype=torch.float32)

    noise = _normal((zlib.crc32(name.encode()) ^ seed) & 0x7FFFFFFF, shape)
    if name.endswith('running_var'):
        return torch.from_numpy(np.abs(noise) * 0.1 + 0.5)
    if any(part in name for part in _LAYER_NORM_PARTS + _BATCH_NORM_PARTS):
        return torch.from_numpy(1 + 0.1 * noise if leaf == 'weight' else 0.1 * noise)
    if leaf in _OFFSETS:
        return torch.from_numpy(0.05 * noise)
    if leaf in _EMBEDDINGS or 'token_embedding' in name:
        return torch.from_numpy(0.5 * noise)
    if leaf in _PROJECTIONS:
        return _scaled(noise, 1.0, fan_in=shape[0])
    gain = _ATTENTION_GAIN if leaf == 'in_proj_weight' else 1.0
    return _scaled(noise, gain, fan_in=int(np.prod(shape[1:])))


def image(shape: Sequence[int], seed: int) -> Tensor:
    """Images "b 3 h w": white noise, as if already normalised."""
    return torch.from_numpy(_normal(seed, tuple(shape)))


def text(count: int, dim: int, seed: int) -> Tensor:
    """L2-normalised text embeddings "k c" that share a redundant component, as CLIP's do."""
    texts = torch.from_numpy(_normal(seed + 7, (count, dim)))
    shared = torch.from_numpy(_normal(seed + 8, (1, dim)))
    texts = texts + 1.5 * shared
    return texts / texts.norm(dim=-1, keepdim=True)


def token_ids(seed: int) -> Tensor:
    """Token ids "4 16" of the golden `text_features`; 127, the highest id, ends each text at column 9."""
    ids = np.random.RandomState(seed).randint(1, 100, (4, 16))
    ids[:, 9] = 127
    return torch.from_numpy(ids)


def _normal(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def _scaled(noise: np.ndarray, gain: float, fan_in: int) -> Tensor:
    """noise * gain / sqrt(fan_in), the division in double as in the run that made the numbers."""
    return torch.from_numpy(((gain * noise).astype(np.float64) / np.sqrt(fan_in)).astype(np.float32))
