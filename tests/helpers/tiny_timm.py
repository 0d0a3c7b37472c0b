"""Tiny CLIPs with timm's towers: open_clip's published configs with small sizes.

timm decides a tower's sizes by its name, so a name of its own is registered for each: the published function of timm
with other sizes. Weights are seeded noise, so that no norm, bias or layer scale is what it starts as.
"""

import re
from functools import cache, partial
from pathlib import Path
from typing import Any

import tiny
from mmseg_clipsurgery.clip.archs import model_config
from mmseg_clipsurgery.clip.families import build_tower

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from timm.models import model_entrypoint, register_model
from timm.models import vision_transformer_hybrid as hybrid
from torch import nn

__all__: list[str] = []  # timm adds the names that it registers
SIZES = dict(img_size=12, patch_size=4, embed_dim=32, depth=6, num_heads=2)
EVA = dict(SIZES, ref_feat_shape=(4, 4))
PE = dict(EVA, attn_pool_num_heads=4)
# Kind -> (open_clip's config, timm's sizes).
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    'SigLIP': ('ViT-B-16-SigLIP', SIZES),
    'SigLIP 2': ('ViT-gopt-16-SigLIP2-256', SIZES),
    'PE': ('PE-Core-B-16', PE),
    'PE without class token': ('PE-Core-bigG-14-448', PE),
    'EVA-01': ('EVA01-g-14', SIZES),
    'EVA-02': ('EVA02-B-16', EVA),
    'EVA-02 with norms after': ('EVA02-E-14', SIZES),
    'MobileCLIP-B': ('MobileCLIP-B', dict(img_size=48, embed_dim=32, depth=6, num_heads=2)),
    'MobileCLIP2-L': ('MobileCLIP2-L-14', SIZES),
}


def arch(kind: str) -> dict[str, Any]:
    """The arch dict of a tiny CLIP of a kind."""
    published, sizes = KINDS[kind]
    config = model_config(published)
    if config is None:
        pytest.skip(f'this open_clip has no {published}')
    name = registered(config['vision_cfg']['timm_model_name'], tuple(sizes.items()))
    small = {key: tiny.SMALL['text_cfg'][key] for key in ('width', 'layers', 'heads', 'context_length')}
    text = {
        key: value for key, value in config['text_cfg'].items() if not key.startswith(('hf_', 'tokenizer_'))
    }
    if config['vision_cfg'].get('timm_proj') == 'none':
        config['embed_dim'] = small['width'] = sizes['embed_dim']
    else:
        config['embed_dim'] = 12
    vision = {**config['vision_cfg'], 'timm_model_name': name, 'image_size': sizes['img_size']}
    known = open_clip.CLIPTextCfg.__dataclass_fields__  # of this release
    text = {**text, **small, 'vocab_size': 64, 'mlp_ratio': 2.0}
    return {**config, 'vision_cfg': vision, 'text_cfg': {key: text[key] for key in text if key in known}}


@cache
def registered(name: str, sizes: tuple[tuple[str, Any], ...]) -> str:
    """The name under which timm builds its model `name` with other sizes."""
    own = re.sub(r'_patch\d+_', '_patch4_', name) + '_tiny'
    entry = partial(with_small_stem, own) if 'mci' in name else model_entrypoint(name)

    def build(pretrained: bool = False, **settings: Any) -> nn.Module:
        return entry(pretrained, **{**dict(sizes), **settings})

    build.__name__, build.__module__ = own, __name__
    register_model(build)
    return own


def with_small_stem(name: str, pretrained: bool, **settings: Any) -> nn.Module:
    """MobileCLIP-B's model, whose stem takes no sizes, with a small stem of the same strides."""
    strides = dict(stride=(4, 2, 2), kernel_size=(4, 2, 2), padding=0)
    stem = hybrid.ConvStem(channels=(8, 8, settings['embed_dim']), act_layer=nn.GELU, **strides)
    return hybrid._create_vision_transformer_hybrid(
        name, backbone=stem, embed_args=dict(proj=False), no_embed_class=True, **settings
    )


@cache
def clip(kind: str) -> nn.Module:
    """open_clip's own model of a kind with seeded weights, in eval mode; nobody changes it."""
    settings = arch(kind)
    model = open_clip.CustomTextCLIP(
        settings['embed_dim'],
        settings['vision_cfg'],
        settings['text_cfg'],
        **{key: settings[key] for key in ('init_logit_bias',) if key in settings},
    )
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and value.dim() and not name.endswith('attn_mask'):
                alone = name.endswith(('pos_embed', 'cls_token', 'latent'))
                spread = 0.1 if value.dim() == 1 else 0.4 if alone else 1.2 * value[0].numel() ** -0.5
                start = value if value.dim() == 1 else 0
                value.copy_(start + spread * torch.randn(value.shape, generator=noise))
    return model.eval()


@cache
def weights_file(kind: str) -> Path:
    """The weights of `clip` in a file."""
    path = tiny.folder() / f'{kind.replace(" ", "_")}.safetensors'
    save_file({name: value.contiguous() for name, value in clip(kind).state_dict().items()}, path)
    return path


def tower(kind: str, surgery: Any = 'clip_surgery', **settings: Any) -> Any:
    """The tower of a kind by its family's class, with the weights of `clip`."""
    return build_tower(arch(kind), weights_file(kind), surgery=surgery, quick_gelu=False, **settings)
