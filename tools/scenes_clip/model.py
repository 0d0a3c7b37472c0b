"""The scenes CLIP: its configuration, its state before training, its tokenizer, and its folder.

All twelve blocks are there from the first step, but most of their attention and MLPs begin asleep: they add nothing to
what passes through them, so they can be passed by, which is the same function and cheaper. As long as the last block's
attention alone works, a patch's token depends on its patch alone: nothing of an object can be learnt but where it is.
Woken, the others start from there.
"""

import json
from functools import partial
from pathlib import Path

from mmseg_clipsurgery.environment import torchvision_ready  # noqa: F401 - before open_clip
from mmseg_clipsurgery.scenes import spec
from mmseg_clipsurgery.scenes.words import CONTEXT_LENGTH, vocabulary_size, write_merges

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

MODEL_CFG = {
    'embed_dim': 128,
    'quick_gelu': False,
    'vision_cfg': {
        'image_size': spec.TRAINING_SIZE[0],
        'patch_size': 8,
        'width': 128,
        'layers': 12,
        'head_width': 64,
    },
    'text_cfg': {
        'context_length': CONTEXT_LENGTH,
        'vocab_size': vocabulary_size(),
        'width': 128,
        'heads': 2,
        'layers': 2,
        'tokenizer_kwargs': {'bpe_path': 'merges.txt.gz'},
    },
}
PREPROCESS_CFG = {'mean': [0.5, 0.5, 0.5], 'std': [0.25, 0.25, 0.25]}

TOKEN_SPREAD, POSITION_SPREAD = 0.2, 0.03  # of the text tower's first tables, ten and three times open_clip's
WEIGHTS, CARD = 'open_clip_model.safetensors', 'card.json'
# blocks, from 0, whose attention and whose MLP work from the first step
ATTENTION_AWAKE = (11,)
MLP_AWAKE = (3, 5, 8, 11)


def build_model(patch_dropout: float = 0.0) -> nn.Module:
    """The CLIP at its first step: what begins asleep adds nothing to what passes through it."""
    vision = open_clip.CLIPVisionCfg(**MODEL_CFG['vision_cfg'], patch_dropout=patch_dropout)
    text = open_clip.CLIPTextCfg(**MODEL_CFG['text_cfg'])
    model = open_clip.model.CLIP(MODEL_CFG['embed_dim'], vision, text, MODEL_CFG['quick_gelu'])
    nn.init.normal_(model.token_embedding.weight, std=TOKEN_SPREAD)
    nn.init.normal_(model.positional_embedding, std=POSITION_SPREAD)
    for last in sleepers(model):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return model


def sleepers(model: nn.Module) -> list[nn.Module]:
    """The last layer of each attention and each MLP of the image tower that begins asleep."""
    blocks = list(enumerate(model.visual.transformer.resblocks))
    return [
        *(block.attn.out_proj for index, block in blocks if index not in ATTENTION_AWAKE),
        *(block.mlp.c_proj for index, block in blocks if index not in MLP_AWAKE),
    ]


def skip_sleepers(model: nn.Module, asleep: bool) -> None:
    """Pass by what sleeps: the same function as long as it adds nothing, and cheaper."""
    for index, block in enumerate(model.visual.transformer.resblocks):
        block.__dict__.pop('forward', None)
        if asleep and index not in ATTENTION_AWAKE:
            block.forward = partial(_mlp_alone, block) if index in MLP_AWAKE else _pass_by


def _mlp_alone(block: nn.Module, tokens: Tensor, *_, **__) -> Tensor:
    return tokens + block.mlp(block.ln_2(tokens))


def _pass_by(tokens: Tensor, *_, **__) -> Tensor:
    return tokens


def make_tokenizer(folder: Path) -> SimpleTokenizer:
    write_merges(folder / 'merges.txt.gz')
    return SimpleTokenizer(bpe_path=str(folder / 'merges.txt.gz'), context_length=CONTEXT_LENGTH)


def to_tensor(images: np.ndarray) -> Tensor:
    """uint8 "b h w 3" -> normalised "b 3 h w"."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(PREPROCESS_CFG[name]).view(3, 1, 1) for name in ('mean', 'std'))
    return (pixels - mean) / std


def write_folder(folder: Path, weights: dict[str, Tensor], card: dict) -> None:
    """The model in open_clip's `local-dir` form, its weights in half precision, and the card of its training."""
    folder.mkdir(parents=True, exist_ok=True)
    write_merges(folder / 'merges.txt.gz')
    write_json(folder / 'open_clip_config.json', {'model_cfg': MODEL_CFG, 'preprocess_cfg': PREPROCESS_CFG})
    half = {name: value.half().contiguous().cpu() for name, value in weights.items()}
    save_file(half, folder / WEIGHTS)
    write_json(folder / CARD, card)
    print(f'wrote {folder}')


def read_model(folder: Path) -> nn.Module:
    """The model of a folder, in fp32."""
    model = build_model().eval()
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model


def read_card(folder: Path) -> dict:
    """The card of a folder."""
    return json.loads((folder / CARD).read_text())


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + '\n')
