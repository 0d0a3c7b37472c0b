"""CLIPs of Hugging Face's form (`CLIPModel`): their names, their config and their folders in open_clip's terms.

    names      q, k and v apart -> one matrix; projections transposed; `vision_model.encoder.layers.0.mlp.fc1.weight` ->
               `visual.transformer.resblocks.0.mlp.c_fc.weight`, and so on
    config     `config.json` (model_type 'clip') -> open_clip's model config; its `hidden_act` states the activation
    folder     `config.json`, `preprocessor_config.json`, weights in one file or in shards with an index

The format is known from transformers' documentation of CLIPModel and its checkpoints. Nothing of transformers is
imported.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..environment.files import read_json

CONFIG_NAME = 'config.json'
STATISTICS_NAME = 'preprocessor_config.json'
SHARDS_SUFFIX = '.index.json'
ACTIVATIONS = {'quick_gelu': True, 'gelu': False}
USUAL_RATIO = (
    4.0  # of an MLP's width to its tower's: older releases of open_clip know no other in a text tower
)
OPENAI_VOCABULARY = 49408  # tokens of CLIP's own tokenizer, which open_clip brings
FIXED = {
    'layer_norm_eps': 1e-5,
    'num_channels': 3,
}  # what open_clip's towers have, and no config of theirs says
MARKS = ('vision_model.', 'text_model.')
OUTSIDE = {  # names that stand outside the blocks, per tower
    'vision_model.embeddings.class_embedding': 'visual.class_embedding',
    'vision_model.embeddings.patch_embedding.weight': 'visual.conv1.weight',
    'vision_model.embeddings.position_embedding.weight': 'visual.positional_embedding',
    'text_model.embeddings.token_embedding.weight': 'token_embedding.weight',
    'text_model.embeddings.position_embedding.weight': 'positional_embedding',
    'logit_scale': 'logit_scale',
}
NORMS = {
    'vision_model.pre_layrnorm': 'visual.ln_pre',  # spelt so in every release of transformers
    'vision_model.post_layernorm': 'visual.ln_post',
    'text_model.final_layer_norm': 'ln_final',
}
BLOCKS = {'vision_model': 'visual.transformer.resblocks', 'text_model': 'transformer.resblocks'}
IN_BLOCK = {
    'layer_norm1': 'ln_1',
    'layer_norm2': 'ln_2',
    'mlp.fc1': 'mlp.c_fc',
    'mlp.fc2': 'mlp.c_proj',
    'self_attn.out_proj': 'attn.out_proj',
}
BLOCK_NAME = re.compile(r'(vision_model|text_model)\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)')


def is_hugging_face(names: Mapping[str, Any]) -> bool:
    """Whether names of tensors are those of a CLIPModel."""
    return any(name.startswith(MARKS) for name in names)


def to_open_clip(tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """A CLIPModel's tensors under open_clip's names and in its shapes.

    Args:
        tensors: by name.
        source: the file, for messages.

    Raises:
        ValueError: a tower is missing, one of q, k and v is missing, or a name is unknown.
    """
    for mark, what in zip(MARKS, ('image', 'text'), strict=True):
        if not any(name.startswith(mark) for name in tensors):
            raise ValueError(f'{source} holds no {what} tower; give the weights of a whole CLIPModel')
    found: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, value in tensors.items():
        if name.endswith('embeddings.position_ids'):
            continue
        projection = re.fullmatch(r'(visual|text)_projection\.weight', name)
        norm, _, part = name.rpartition('.')
        block = BLOCK_NAME.fullmatch(name)
        if name in OUTSIDE:
            found[OUTSIDE[name]] = value
        elif projection:
            found['visual.proj' if projection[1] == 'visual' else 'text_projection'] = value.mT
        elif norm in NORMS:
            found[f'{NORMS[norm]}.{part}'] = value
        elif block and block[3] in IN_BLOCK:
            found[f'{BLOCKS[block[1]]}.{block[2]}.{IN_BLOCK[block[3]]}.{block[4]}'] = value
        elif block and block[3] in ('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'):
            if block[3] == 'self_attn.q_proj':
                target = f'{BLOCKS[block[1]]}.{block[2]}.attn.in_proj_{block[4]}'
                found[target] = torch.cat([member(tensors, name, letter, source) for letter in 'qkv'])
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(f'{source} is no plain CLIPModel: it also holds {", ".join(unknown[:6])}')
    return found


def member(tensors: Mapping[str, Tensor], name: str, letter: str, source: str) -> Tensor:
    """The matrix or vector of q, k or v that belongs to the name of q. Raises ValueError where it is missing."""
    wanted = name.replace('.q_proj.', f'.{letter}_proj.')
    if wanted not in tensors:
        raise ValueError(f'{source} lacks {wanted}; fetch the file again')
    return tensors[wanted]


def model_config(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A CLIPModel's config in open_clip's form, its activation stated.

    Args:
        config: the content of `config.json`.
        path: it, for messages.

    Raises:
        ValueError: another model than CLIP, towers of different activations, or a size that open_clip cannot state.
    """
    if config.get('model_type') != 'clip':
        raise ValueError(
            f"{path} describes a model of type {config.get('model_type')!r}; of Hugging Face's models 'clip' is read, "
            "give others in open_clip's form, such as hf-hub:timm/ViT-B-16-SigLIP"
        )
    vision, text = (parts_of(config, name, path) for name in ('vision_config', 'text_config'))
    activations = {str(part.get('hidden_act', 'quick_gelu')) for part in (vision, text)}
    if len(activations) > 1 or not activations <= set(ACTIVATIONS):
        raise ValueError(
            f'{path}: hidden_act must be quick_gelu or gelu in both towers, got {sorted(activations)}'
        )
    width, heads = vision.get('hidden_size', 768), vision.get('num_attention_heads', 12)
    vocabulary = text.get('vocab_size', OPENAI_VOCABULARY)
    ends = text.get('eos_token_id', 2)
    if ends not in (2, vocabulary - 1):
        raise ValueError(
            f'{path}: a text is pooled at its largest id, so eos_token_id must be {vocabulary - 1}, got {ends}'
        )
    text_config = {
        'context_length': text.get('max_position_embeddings', 77),
        'vocab_size': vocabulary,
        'width': text.get('hidden_size', 512),
        'heads': text.get('num_attention_heads', 8),
        'layers': text.get('num_hidden_layers', 12),
    }
    ratio = text.get('intermediate_size', 2048) / text.get('hidden_size', 512)
    if ratio != USUAL_RATIO:
        text_config['mlp_ratio'] = ratio
    if vocabulary != OPENAI_VOCABULARY:
        text_config['hf_tokenizer_name'] = str(path.parent)
    return {
        'embed_dim': config.get('projection_dim', 512),
        'quick_gelu': ACTIVATIONS[activations.pop()],
        'vision_cfg': {
            'image_size': vision.get('image_size', 224),
            'patch_size': vision.get('patch_size', 32),
            'layers': vision.get('num_hidden_layers', 12),
            'width': width,
            'head_width': width // heads,
            'mlp_ratio': vision.get('intermediate_size', 3072) / width,
        },
        'text_cfg': text_config,
    }


def parts_of(config: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """A tower's part of a config, older files' `*_config_dict` under it.

    Raises:
        ValueError: it is no mapping, a size is no whole number above 0, or open_clip's towers do not have a setting.
    """
    given = [config.get(f'{name}_dict') or {}, config.get(name) or {}]
    if not all(isinstance(one, Mapping) for one in given):
        raise ValueError(f'{path}: {name} must hold names and values, got {config.get(name)!r}')
    part = {**given[0], **given[1]}
    for size, value in part.items():
        if size.endswith(('_size', 'num_hidden_layers', 'num_attention_heads')) and (
            not isinstance(value, int) or isinstance(value, bool) or value < 1
        ):
            raise ValueError(f'{path}: {name}.{size} must be a whole number above 0, got {value!r}')
    for setting, only in FIXED.items():
        if part.get(setting, only) != only:
            raise ValueError(
                f"{path}: {name}.{setting} is {part[setting]!r}, and open_clip's towers have {only}: not read here"
            )
    width, heads = part.get('hidden_size', 0), part.get('num_attention_heads', 1)
    if width % heads:
        raise ValueError(f'{path}: {name}.hidden_size must be a multiple of its {heads} heads, got {width}')
    return part


def statistics(folder: Path) -> dict[str, Any]:
    """Pixel statistics of a folder's preprocessing: `mean` and `std`, where it states them."""
    path = folder / STATISTICS_NAME
    content = read_json(path) if path.is_file() else {}
    return {
        name: content[f'image_{name}'] for name in ('mean', 'std') if content.get(f'image_{name}') is not None
    }


def shards(index: Path) -> list[Path]:
    """The files that an index names, in its folder.

    Raises:
        FileNotFoundError: one is missing.
        ValueError: see `shard_names`.
    """
    found = [index.parent / name for name in shard_names(index)]
    if missing := [path for path in found if not path.is_file()]:
        raise FileNotFoundError(f'{missing[0]} is missing, which {index.name} names')
    return found


def shard_names(index: Path) -> list[str]:
    """Names of the files that an index names. Raises ValueError for none, or one outside of its folder."""
    where = read_json(index).get('weight_map')
    if not isinstance(where, dict) or not where:
        raise ValueError(f'{index} has no weight_map; fetch it again')
    names = sorted({str(name) for name in where.values()})
    if strange := [name for name in names if Path(name).name != name or name in ('', '.', '..')]:
        raise ValueError(f'{index} names {strange[0]!r}, which does not lie beside it')
    return names
