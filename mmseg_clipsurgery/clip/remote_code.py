"""Code that a model's files name is never executed: where they ask for it, the model is refused.

Hugging Face's libraries run Python modules of a model's folder where `auto_map` names them and `trust_remote_code` is
set, in the settings or by a question on the terminal. So both are refused wherever they stand, and the libraries are
told not to ask. A name of the hub becomes a folder first (`looked_at`), so that its files are looked at as well.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..environment.files import read_json, reason

CODE_KEYS = ('trust_remote_code', 'auto_map', 'code_revision')
# What Hugging Face's libraries read these keys from: config.json, or config.4.0.0.json where config.json says so.
CODE_FILES = ('config*.json', 'tokenizer_config*.json')
# Of a name of the hub, what its tokenizer and its config are made of: no weights, no modules.
HUB_FILES = ('*.json', '*.txt', '*.model')


def refuse_code(settings: Any, where: str | Path) -> None:
    """Refuse settings that name code, at any depth.

    Args:
        settings: an arch dict, or the content of a model's JSON.
        where: what it is, for the message.

    Raises:
        ValueError: one of `CODE_KEYS` occurs.
    """
    if found := next(code_keys(settings), None):
        raise ValueError(f'{where} holds {found}: code of a model is never executed, remove it')


def refuse_code_in(folder: str | Path | None) -> None:
    """Refuse a folder whose config or tokenizer names code; a name that is no folder here is left alone."""
    if not folder or not Path(folder).is_dir():
        return
    for pattern in CODE_FILES:
        for path in sorted(Path(folder).glob(pattern)):
            refuse_code(read_json(path), path)


def looked_at(name: str, fetches: bool) -> str:
    """The folder that a name in a model's config stands for, made sure to name no code.

    Args:
        name: a folder, or a repository of the hub, of which only `HUB_FILES` are taken.
        fetches: whether it may be downloaded; else it has to lie in the hub's cache.

    Raises:
        ValueError: its files name code.
        FileNotFoundError: it is not here and can't or may not be fetched.
    """
    folder = name if Path(name).is_dir() else hub_folder(name, fetches)
    refuse_code_in(folder)
    return folder


def hub_folder(name: str, fetches: bool) -> str:
    """The hub's cached files of a repository, downloaded where they may be. Raises FileNotFoundError."""
    from huggingface_hub import snapshot_download

    try:
        return snapshot_download(name, allow_patterns=list(HUB_FILES), local_files_only=not fetches)
    except Exception as error:  # the hub's errors have no common base across its releases
        remedy = (
            'check the name and the network'
            if fetches
            else f'a local model fetches nothing: put these files into its folder, or run hf download {name}'
        )
        raise FileNotFoundError(
            f'{name!r}, which the config of the model names, is no folder and could not be found as a repository of '
            f'the hub ({reason(error)}); {remedy}'
        ) from error


def code_keys(settings: Any, above: str = '') -> Iterator[str]:
    """Dotted names of the keys that name code."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            name = f'{above}{key}'
            if key in CODE_KEYS:
                yield name
            yield from code_keys(value, f'{name}.')
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from code_keys(value, above)
