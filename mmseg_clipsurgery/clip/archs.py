"""What an `arch` names: open_clip's model config of a name, a folder, a hub model or a dict of fields."""

import difflib
import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import open_clip
import open_clip.factory

from .model_folders import CONFIG_NAME, as_folder, check_parts, read_folder
from .remote_code import refuse_code


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
    if known is None and (folder := as_folder(arch, cache_dir, weights=False)):
        return read_folder(folder)
    if known is None:
        near = difflib.get_close_matches(str(arch), [*open_clip.list_models(), 'scenes'], n=3, cutoff=0.5)
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
