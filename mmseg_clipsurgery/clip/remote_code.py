"""Code that a model's files name is never executed: where they ask for it, the model is refused.

Hugging Face's libraries run Python modules of a model's folder where `auto_map` names them and `trust_remote_code` is
set, in the settings or by a question on the terminal. So both are refused wherever they stand, and the libraries are
told not to ask.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..environment.files import read_json

CODE_KEYS = ('trust_remote_code', 'auto_map', 'code_revision')
CODE_FILES = ('config.json', 'tokenizer_config.json')  # what Hugging Face's libraries read these keys from


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
    for name in CODE_FILES:
        path = Path(folder, name) if folder else None
        if path and path.is_file():
            refuse_code(read_json(path), path)


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
