"""Which model a user means: `resolve(arch, pretrained)` turns what is written into a `Source`.

    arch         an open_clip model name | a folder in open_clip's local-dir form | 'scenes' (the embedded model) |
                 'hf-hub:org/model' | a dict in the form of open_clip's model JSON | dict(name=one of these, ...), with
                 fields of its config that are replaced
    pretrained   an open_clip tag | a file | 'local-dir:FOLDER' | 'hf-hub:org/model' | 'scenes' | 'random' | None (a
                 folder's own weights where arch is one, else random weights, with a warning)

The towers and the tokenizer are built from a `Source`. The activation is never guessed (see `activation`). Only
open_clip's tables of models and tags and its download functions are used.
"""

import difflib
import json
import math
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import open_clip
import open_clip.factory
import open_clip.pretrained

from ..environment.files import read_json, reason
from ..resources import RESOURCES
from .activation import decide_activation, tag_settings
from .checkpoints import shown_activation
from .remote_code import refuse_code, refuse_code_in

SCENES = RESOURCES / 'scenes'
RANDOM = 'random'
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
    label = label_of(arch)
    arch = named_arch(arch) or arch
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
    """`arch` -> (model config, folder or None, preprocessing settings).

    Raises:
        ValueError: no such arch, a config that is none, or one that names code (see `remote_code`).
        FileNotFoundError: a folder or a download is missing.
    """
    if isinstance(arch, Mapping):
        refuse_code(arch, 'the arch dict')
        config = plain_copy(arch)
        config.pop('name', None)
        if name := named_arch(arch):
            named, folder, preprocess = read_arch(name, cache_dir)
            both = merged(named, config)
            check_parts(both, str(label_of(arch)))
            return both, folder, preprocess
        absent = [key for key in ('embed_dim', 'vision_cfg') if key not in config]
        if absent:
            raise ValueError(
                f"the arch dict lacks {', '.join(absent)}; give it in the form of open_clip's model JSON, or "
                'with name, a model of which it replaces fields'
            )
        check_parts(config, 'the arch dict')
        return config, None, {}
    if not isinstance(arch, str | Path) or not str(arch):
        raise ValueError(f'arch must be a model name, a folder or a dict, got {arch!r}')
    known = model_config(arch)
    if known is None and (folder := as_folder(arch, cache_dir)):
        return read_folder(folder)
    if known is None:
        near = difflib.get_close_matches(str(arch), open_clip.list_models(), n=3, cutoff=0.5)
        hint = f'did you mean {", ".join(near)}? ' if near else ''
        raise ValueError(
            f'unknown arch {str(arch)!r}: {hint}Give a name of open_clip.list_models(), a folder with '
            f'{CONFIG_NAME}, or a dict'
        )
    return deepcopy(known), None, {}


def plain_copy(arch: Mapping) -> dict:
    """An arch dict as plain dicts and lists, mmengine's ConfigDict too. Raises ValueError for what JSON has not."""
    try:
        return json.loads(json.dumps(arch))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the arch dict holds what open_clip's model JSON has no place for: {error}"
        ) from error


def check_parts(config: Mapping, where: str | Path) -> None:
    """Refuse a model config whose parts are of other types than open_clip's. Raises ValueError with the part's name."""
    width = config.get('embed_dim')
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        raise ValueError(f'{where}: embed_dim must be a whole number above 0, got {width!r}')
    for name in ('vision_cfg', 'text_cfg'):
        if not isinstance(config.get(name, {}), Mapping):
            raise ValueError(f'{where}: {name} must hold names and values, got {config[name]!r}')
    settings = config.get('text_cfg', {}).get('tokenizer_kwargs')
    if not isinstance(settings, Mapping | None):
        raise ValueError(f'{where}: tokenizer_kwargs must hold names and values, got {settings!r}')


def named_arch(arch: object) -> str | Path | None:
    """The name of a model: `arch` itself, or the `name` of a dict that is not complete; None for a complete dict.

    dict(name='ViT-B-16') is 'ViT-B-16' in every respect, dict(name='ViT-B-16', quick_gelu=True) the same with one field
    replaced. A dict with `embed_dim` and `vision_cfg` stands for itself, whatever name a base config has left in it.
    """
    if isinstance(arch, str | Path):
        return arch
    complete = isinstance(arch, Mapping) and 'embed_dim' in arch and 'vision_cfg' in arch
    return arch.get('name') if isinstance(arch, Mapping) and not complete else None


def label_of(arch: str | Path | Mapping) -> str | Path:
    """What messages call a model."""
    name = named_arch(arch)
    if isinstance(arch, Mapping) and name and len(arch) > 1:
        return f'{name} with fields of your own'
    return name or 'the arch dict'


def merged(config: Mapping, changes: Mapping) -> dict:
    """A config with fields replaced, dicts within it field by field."""
    both = {
        key: merged(config[key], value)
        for key, value in changes.items()
        if isinstance(value, Mapping) and isinstance(config.get(key), Mapping)
    }
    return {**config, **changes, **both}


def model_config(name: str | Path) -> dict | None:
    """The config of an open_clip model name ('ViT-B-16', also written 'ViT-B/16'); None where there is none."""
    name = str(name).replace('/', '-')
    return open_clip.factory.get_model_config(name) if name in open_clip.list_models() else None


def listed_archs() -> list[str]:
    """The model names of the installed open_clip."""
    return open_clip.list_models()


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
            f'hf-hub:{repository} could not be fetched or found in the cache ({reason(error)}); check the '
            'name and the network, or give a local folder'
        ) from error


def read_folder(folder: Path) -> tuple[dict, Path, dict]:
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {CONFIG_NAME}; give a folder in open_clip's local-dir form")
    content = read_json(path)
    if not isinstance(content.get('model_cfg'), dict):
        raise ValueError(f'{path} has no "model_cfg"; give a folder in open_clip\'s local-dir form')
    refuse_code(content, path)
    refuse_code_in(folder)
    check_parts(content['model_cfg'], path)
    if 'vision_cfg' not in content['model_cfg']:
        raise ValueError(f'{path}: its model_cfg has no vision_cfg')
    return content['model_cfg'], folder, statistics_of(content.get('preprocess_cfg') or {}, path)


def statistics_of(preprocess: object, path: Path) -> dict:
    """The settings of a folder's preprocessing. Raises ValueError where mean or std are not three finite numbers."""
    if not isinstance(preprocess, dict):
        raise ValueError(f'{path}: preprocess_cfg must hold names and values, got {preprocess!r}')
    for name in ('mean', 'std'):
        values = preprocess.get(name, [1.0, 1.0, 1.0])
        numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
        if not numbers or len(values) != 3 or not all(math.isfinite(value) for value in values):
            raise ValueError(f'{path}: {name} must be three numbers, one a channel, got {values!r}')
    if not all(value > 0 for value in preprocess.get('std', [1.0])):
        raise ValueError(f'{path}: std must be above 0, got {preprocess["std"]!r}')
    return preprocess


def find_weights(
    arch, pretrained, folder: Path | None, cache_dir: str | None
) -> tuple[Path | None, dict | None]:
    """`pretrained` -> (file or None, settings that come with it: mean, std, quick_gelu)."""
    if pretrained == RANDOM:
        return None, None
    if pretrained is None:
        return (folder_weights(folder) if folder else None), None
    name = str(arch).replace('/', '-') if isinstance(arch, str | Path) and not folder else ''
    if tag := open_clip.pretrained.get_pretrained_cfg(name, str(pretrained)):
        return fetch_tag(name, str(pretrained), tag, cache_dir), tag_settings(
            name, str(pretrained), tag, bool((model_config(name) or {}).get('quick_gelu'))
        )
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


def require_weights(
    arch: str | Path | Mapping, pretrained: str | Path | None, cache_dir: str | None = None
) -> None:
    """Refuse an arch without weights, where random ones would be no use and no tag is the obvious one.

    Raises:
        ValueError: `pretrained` is None and `arch` is no folder with weights of its own; the message names its tags.
    """
    if pretrained is not None or read_arch(arch, cache_dir)[1] is not None:
        return
    name = named_arch(arch)
    tags = open_clip.list_pretrained_tags_by_model(str(name).replace('/', '-')) if name else []
    raise ValueError(
        f'{label_of(arch)} alone names no weights: give pretrained, a file or one of its tags '
        f'({", ".join(tags) or "it has none"}), or {RANDOM!r} for random weights'
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
            f'({reason(error)}); check the network, or give a file as pretrained'
        ) from error
