"""Configs by file or by the name of a shipped one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..resources import config as shipped_config


def read_config(name: str, options: Mapping[str, Any] | None = None) -> Config:
    """A config given as a file or by the name of a shipped one, with `--cfg-options`."""
    cfg = Config.fromfile(config_path(name))
    if options:
        cfg.merge_from_dict(dict(options))
    return cfg


def config_path(name: str) -> str:
    """Path of a config given as a file or by the name of a shipped one.

    Raises:
        ValueError, FileNotFoundError: it is neither.
    """
    if Path(name).is_file():
        return name
    if Path(name).name != name or name.endswith('.py'):
        raise FileNotFoundError(
            f'the config {name} does not exist: give a file, or the name of a shipped config such as clipsurgery_voc'
        )
    return shipped_config(name)
