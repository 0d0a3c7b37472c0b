"""The one door to open_clip: which model, which weights, which activation, which tokenizer.

`resolve(arch, pretrained)` turns what a user writes into a `Source`; the towers and the tokenizer are built from it.

    arch         an open_clip model name | a folder in open_clip's local-dir form | 'scenes' (the embedded model) |
                 'hf-hub:org/model' | a dict in the form of open_clip's model JSON
    pretrained   an open_clip tag | a file | 'local-dir:FOLDER' | 'hf-hub:org/model' | 'scenes' | None (a folder's own
                 weights where arch is one, else random weights, with a warning)

The activation is never guessed: a tag's table decides, a TorchScript archive's code shows it, a folder's config says
it; a plain file cannot tell, so it must be said (`quick_gelu`, in the arch dict, or by a `-quickgelu` name). Two that
disagree are an error. Only `_build_vision_tower`, `_build_text_tower`, the model and tag tables, the download functions
and the tokenizers of open_clip are used.
"""

import difflib
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import open_clip
import open_clip.factory
import open_clip.model
import open_clip.pretrained
import torch
from torch import Tensor, nn

from ..environment.stack import distribution_version
from ..resources import RESOURCES
from .checkpoints import first_line, load_tower, read_weights, shown_activation

SCENES = RESOURCES / 'scenes'
CONFIG_NAME = 'open_clip_config.json'
WEIGHT_NAMES = (
    'open_clip_model.safetensors',
    'open_clip_pytorch_model.safetensors',
    'open_clip_pytorch_model.bin',
    'open_clip_pytorch_model.pth',
    'model.safetensors',
    'pytorch_model.bin',
    'pytorch_model.pth',
    'model.pth',
)
TOKENIZER_FILES = ('*.txt', '*.txt.gz', 'tokenizer*', '*.model', 'special_tokens_map.json', 'vocab.*')
logger = logging.getLogger('mmseg_clipsurgery')


@dataclass(frozen=True)
class Source:
    """A resolved model.

    Attributes:
        label: what the user wrote, for messages.
        config: open_clip's model config (`embed_dim`, `vision_cfg`, `text_cfg`).
        weights: the file, or None for random weights.
        quick_gelu: whether the towers use QuickGELU.
        mean, std: RGB pixel statistics of its preprocessing, for values in [0, 1].
        folder: where relative names of the config (a tokenizer's merges) are found; None without a folder.
        checksum: SHA-256 the weights file must have, or None.
    """

    label: str
    config: dict
    weights: Path | None
    quick_gelu: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    folder: Path | None
    checksum: str | None = None


def resolve(
    arch: str | Path | Mapping,
    pretrained: str | Path | None = None,
    quick_gelu: bool | None = None,
    checksum: str | None = None,
    cache_dir: str | None = None,
) -> Source:
    """Find out what `arch` and `pretrained` name (see the module's head); nothing is built.

    Args:
        arch, pretrained: as above.
        quick_gelu: what the user says of the activation; needed for a plain weights file only.
        checksum: SHA-256 of the weights file.
        cache_dir: where downloads go; open_clip's own default where None. HF_HUB_OFFLINE is honoured.

    Raises:
        ValueError: unknown arch or tag, undecided or contradictory activation.
        FileNotFoundError: a folder, file or download is missing.
    """
    config, folder, preprocess = read_arch(arch, cache_dir)
    label = arch if isinstance(arch, str | Path) else 'the arch dict'
    said: dict[str, bool] = {} if quick_gelu is None else {'the argument quick_gelu': bool(quick_gelu)}
    if 'quick_gelu' in config or folder:
        said[f'the config of {label}'] = bool(config.get('quick_gelu', False))
    weights, tag = find_weights(arch, pretrained, folder, cache_dir)
    if tag is not None:
        preprocess = preprocess | {key: tag[key] for key in ('mean', 'std') if tag.get(key)}
        if tag['quick_gelu'] is not None:
            said[repr(pretrained)] = tag['quick_gelu']
    elif weights is not None and (shown := shown_activation(weights)) is not None:
        said[f'the code in {weights.name}'] = shown
    return Source(
        label=f'{label} ({pretrained})' if pretrained else str(label),
        config=config,
        weights=weights,
        quick_gelu=decide_activation(said, weights),
        mean=tuple(preprocess.get('mean', open_clip.OPENAI_DATASET_MEAN)),
        std=tuple(preprocess.get('std', open_clip.OPENAI_DATASET_STD)),
        folder=folder,
        checksum=checksum,
    )


def read_arch(arch: str | Path | Mapping, cache_dir: str | None = None) -> tuple[dict, Path | None, dict]:
    """`arch` -> (model config, folder or None, preprocessing settings)."""
    if isinstance(arch, Mapping):
        config = json.loads(json.dumps(arch))  # a plain copy of mmengine's ConfigDict too
        absent = [key for key in ('embed_dim', 'vision_cfg') if key not in config]
        if absent:
            raise ValueError(
                f"the arch dict lacks {', '.join(absent)}; give it in the form of open_clip's model JSON"
            )
        return config, None, {}
    if not isinstance(arch, str | Path) or not str(arch):
        raise ValueError(f'arch must be a model name, a folder or a dict, got {arch!r}')
    config = model_config(arch)
    if config is None and (folder := as_folder(arch, cache_dir)):
        return read_folder(folder)
    if config is None:
        near = difflib.get_close_matches(str(arch), open_clip.list_models(), n=3, cutoff=0.5)
        hint = f'did you mean {", ".join(near)}? ' if near else ''
        raise ValueError(
            f'unknown arch {str(arch)!r}: {hint}Give a name of open_clip.list_models(), a folder with '
            f'{CONFIG_NAME}, or a dict'
        )
    return deepcopy(config), None, {}


def model_config(name: str | Path) -> dict | None:
    """The config of an open_clip model name ('ViT-B-16', also written 'ViT-B/16'); None where there is none."""
    name = str(name).replace('/', '-')
    return open_clip.factory.get_model_config(name) if name in open_clip.list_models() else None


def as_folder(name: str | Path, cache_dir: str | None = None) -> Path | None:
    """The folder a name stands for, if it stands for one; `hf-hub:` names are fetched (or found in the cache)."""
    name = str(name)
    if name == 'scenes':
        return SCENES
    if name.startswith('hf-hub:'):
        return fetch_folder(name.removeprefix('hf-hub:'), cache_dir)
    folder = Path(name.removeprefix('local-dir:')).expanduser()
    if name.startswith('local-dir:') or folder.is_dir():
        return folder
    return None


def fetch_folder(repository: str, cache_dir: str | None) -> Path:
    """Download (or find in the cache) a hub model's config, tokenizer files and one file of weights."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.utils import EntryNotFoundError

    try:
        wanted = [CONFIG_NAME, *TOKENIZER_FILES]
        folder = Path(snapshot_download(repository, cache_dir=cache_dir, allow_patterns=wanted))
        for name in WEIGHT_NAMES:
            try:
                hf_hub_download(repository, name, cache_dir=cache_dir, revision=folder.name)
                break
            except EntryNotFoundError:  # offline: not in the cache
                continue
        return folder
    except Exception as error:  # the hub's errors have no common base across its releases
        raise FileNotFoundError(
            f'hf-hub:{repository} could not be fetched or found in the cache ({first_line(error)}); check the '
            'name and the network, or give a local folder'
        ) from error


def read_folder(folder: Path) -> tuple[dict, Path, dict]:
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {CONFIG_NAME}; give a folder in open_clip's local-dir form")
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is no JSON ({error}): fetch it again or correct it') from error
    if 'model_cfg' not in content:
        raise ValueError(f'{path} has no "model_cfg"; give a folder in open_clip\'s local-dir form')
    return content['model_cfg'], folder, content.get('preprocess_cfg', {})


def find_weights(
    arch, pretrained, folder: Path | None, cache_dir: str | None
) -> tuple[Path | None, dict | None]:
    """`pretrained` -> (file or None, settings that come with it: mean, std, quick_gelu)."""
    if pretrained is None:
        return (folder_weights(folder) if folder else None), None
    name = str(arch).replace('/', '-') if isinstance(arch, str | Path) and not folder else ''
    if tag := open_clip.pretrained.get_pretrained_cfg(name, str(pretrained)):
        return fetch_tag(name, str(pretrained), tag, cache_dir), tag_settings(name, str(pretrained), tag)
    if weights_folder := as_folder(pretrained, cache_dir):
        config, weights_folder, preprocess = read_folder(weights_folder)
        return folder_weights(weights_folder), preprocess | {
            'quick_gelu': bool(config.get('quick_gelu', False))
        }
    path = Path(os.path.expanduser(pretrained))
    if path.is_file():
        return path, None
    tags = open_clip.list_pretrained_tags_by_model(name)
    kind = FileNotFoundError if path.suffix or len(path.parts) > 1 else ValueError
    raise kind(
        f'pretrained={str(pretrained)!r} is neither an existing file nor a tag of {name or "this arch"}; its '
        f'tags: {", ".join(tags) or "none"}'
    )


def folder_weights(folder: Path) -> Path:
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f'{folder} has no weights file; expected one of {", ".join(WEIGHT_NAMES)}')


def fetch_tag(arch: str, tag_name: str, tag: dict, cache_dir: str | None) -> Path:
    try:
        return Path(open_clip.pretrained.download_pretrained(tag, cache_dir=cache_dir))
    except Exception as error:  # urllib's, the hub's and open_clip's own errors alike
        raise FileNotFoundError(
            f'the weights {tag_name!r} of {arch} could not be fetched or found in the cache '
            f'({first_line(error)}); check the network, or give a file as pretrained'
        ) from error


def tag_settings(arch: str, tag_name: str, tag: dict) -> dict:
    """A tag's settings with its activation.

    Newer releases of open_clip mark QuickGELU in the tag; in older ones the tag is OpenAI's, the file's name tells, or
    the same file is listed under the `-quickgelu` name too. Whatever is not so marked uses GELU, unless the arch's own
    config says otherwise (then None).
    """
    twin = open_clip.pretrained.get_pretrained_cfg(f'{arch}-quickgelu', tag_name) or {}
    same = [key for key in ('url', 'hf_hub') if tag.get(key) and tag[key] == twin.get(key)]
    named = tag_name.lower() == 'openai' or 'quickgelu' in (tag.get('url') or '')
    if tag.get('quick_gelu') or named or same:
        return dict(tag) | {'quick_gelu': True}
    return dict(tag) | {'quick_gelu': None if (model_config(arch) or {}).get('quick_gelu') else False}


def decide_activation(said: dict[str, bool], weights: Path | None) -> bool:
    """Who says what of QuickGELU -> whether it is used; logged.

    Raises:
        ValueError: two sources disagree, or a plain weights file leaves it open.
    """
    if len(set(said.values())) > 1:
        parts = ', '.join(f'{who} says {value}' for who, value in said.items())
        raise ValueError(f'contradictory activation: {parts} for quick_gelu; correct the one that is wrong')
    if said:
        (quick_gelu,) = set(said.values())
    elif weights is None:
        quick_gelu = False
    else:
        raise ValueError(
            f"{weights} does not tell its activation: say quick_gelu=True (OpenAI's, MetaCLIP's and "
            "DFN's models) or quick_gelu=False (most others)"
        )
    logger.info(
        '%s: activation %s (by %s)',
        weights or 'random weights',
        'QuickGELU' if quick_gelu else 'GELU',
        ', '.join(said) or 'default',
    )
    return quick_gelu


def tower_kind(config: Mapping) -> str:
    """'vit' or 'resnet' for a supported image tower; else a clause that says what it is instead."""
    vision = config.get('vision_cfg')
    if not vision:
        return 'a model without an image tower'
    if vision.get('timm_model_name'):
        return f'a timm tower ({vision["timm_model_name"]})'
    if isinstance(vision.get('layers'), list | tuple):
        return 'resnet'
    if vision.get('attentional_pool'):
        return 'a ViT with attention pooling'
    if vision.get('pool_type', 'tok') != 'tok' or vision.get('global_average_pool'):
        return f'a ViT with {vision.get("pool_type", "avg")!r} pooling'
    return 'vit'


def supported_archs(kind: str) -> list[str]:
    """Names of open_clip's models whose image tower is of a supported kind ('vit' or 'resnet')."""
    configs = {name: open_clip.factory.get_model_config(name) for name in open_clip.list_models()}
    return [name for name, config in configs.items() if tower_kind(config) == kind]


def build_image_tower(source: Source, kind: str) -> nn.Module:
    """open_clip's image tower with its weights, in eval mode.

    Args:
        source: what `resolve` returned.
        kind: 'vit' or 'resnet', what the caller can read.

    Raises:
        ValueError: the tower is of another kind, its config is illegal, or the weights do not fit.
    """
    found = tower_kind(source.config)
    if found != kind:
        other = {'vit': 'it is a ViT, use CLIPSurgeryViT', 'resnet': 'it is a ResNet, use CLIPSurgeryResNet'}
        raise ValueError(
            f'{source.label} is not supported here: {other.get(found, "it is " + found)}. What works: '
            f'{", ".join(supported_archs(kind))}, and dicts of that form'
        )
    settings = {key: value for key, value in source.config['vision_cfg'].items() if key != 'patch_dropout'}
    tower = build(open_clip.model._build_vision_tower, open_clip.model.CLIPVisionCfg, source, settings)
    return load(tower, 'visual', source)


def build_text_tower(source: Source) -> nn.Module:
    """open_clip's text tower with its weights, in eval mode. Raises ValueError as `build_image_tower`."""
    if 'text_cfg' not in source.config:
        raise ValueError(f'{source.label} has no text_cfg, so no text tower')
    # The tokenizer's settings are no part of the tower; older releases of open_clip do not know them.
    settings = {
        key: value for key, value in source.config['text_cfg'].items() if not key.startswith('tokenizer_')
    }
    if source.weights is not None and 'hf_model_name' in settings:
        settings['hf_model_pretrained'] = False  # nothing to fetch that is overwritten at once
    tower = build(open_clip.model._build_text_tower, open_clip.model.CLIPTextCfg, source, settings)
    return load(tower, 'text', source)


def build(builder, config_class, source: Source, settings: Mapping) -> nn.Module:
    try:
        return builder(source.config['embed_dim'], config_class(**settings), source.quick_gelu)
    except Exception as error:  # whatever open_clip, torch or transformers make of an illegal value
        raise ValueError(
            f'{source.label}: open_clip {distribution_version("open_clip_torch")} cannot build this tower '
            f'({first_line(error)}); see its {config_class.__name__} for the fields'
        ) from error


def load(tower: nn.Module, which: str, source: Source) -> nn.Module:
    if source.weights is None:
        logger.warning('%s: the %s tower has random weights (pretrained=None)', source.label, which)
    else:
        load_tower(tower, read_weights(source.weights, source.checksum), which, str(source.weights))
    return tower.eval()


class Tokenizer:
    """Texts to token ids, as the model was trained.

    Args:
        source: what `resolve` returned; `text_cfg` names the tokenizer, and a relative `bpe_path` in its
            `tokenizer_kwargs` is found in the model's folder.
    """

    def __init__(self, source: Source):
        text = source.config['text_cfg']
        self.context_length = text.get('context_length', 77)
        self.vocab_size = text.get('vocab_size', 49408) if 'hf_tokenizer_name' not in text else None
        settings = dict(text.get('tokenizer_kwargs') or {})
        if name := text.get('hf_tokenizer_name'):
            if source.folder and (source.folder / 'tokenizer_config.json').is_file():
                name = str(source.folder)
            if text.get('tokenizer_mode'):
                settings['tokenizer_mode'] = text['tokenizer_mode']
            self.tokenize = open_clip.tokenizer.HFTokenizer(name, **settings)
        else:
            if source.folder and 'bpe_path' in settings:
                settings['bpe_path'] = str(source.folder / settings['bpe_path'])
            simple = open_clip.SimpleTokenizer(**settings)
            self.tokenize = simple if callable(simple) else partial(tokenize_simply, simple)

    def __call__(self, texts: list[str]) -> Tensor:
        """Texts -> ids "t l", int64, l the context length; longer texts are cut.

        Raises:
            ValueError: the tokenizer gives ids the text tower has no embedding for.
        """
        ids = self.tokenize(texts, context_length=self.context_length)
        if self.vocab_size is not None and ids.max() >= self.vocab_size:
            raise ValueError(
                f'the tokenizer gives ids up to {int(ids.max())}, the text tower knows {self.vocab_size}; '
                'name the right merges file in text_cfg.tokenizer_kwargs.bpe_path'
            )
        return ids

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what the tokenizer knows: its tokens with their ids, and its merges."""
        known = getattr(self.tokenize, 'args', [self.tokenize])[0]  # `tokenize_simply` holds it
        inner = getattr(known, 'tokenizer', None)
        tokens = inner.get_vocab() if inner is not None else known.encoder
        merges = list(getattr(known, 'bpe_ranks', {}))
        return hashlib.sha256(repr((sorted(tokens.items()), merges)).encode()).hexdigest()


def tokenize_simply(tokenizer: open_clip.SimpleTokenizer, texts: list[str], context_length: int) -> Tensor:
    """Ids "t l" with open_clip's own tokenizer, for releases whose tokenizer only has `encode` (2.20)."""
    start, end = tokenizer.all_special_ids[:2]
    ids = torch.zeros(len(texts), context_length, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        tokens = [start, *tokenizer.encode(text)[: context_length - 2], end]
        row[: len(tokens)] = torch.tensor(tokens)
    return ids
