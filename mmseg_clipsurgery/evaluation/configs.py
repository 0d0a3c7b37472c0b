"""Configs by file or by the name of a shipped one."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

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


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """The words of `--cfg-options`, KEY=VALUE each -> dotted key -> value, as MMEngine parses them.

    Raises:
        ValueError: one is not of that form.
    """
    if wrong := [word for word in options if not word.partition('=')[0] or '=' not in word]:
        raise ValueError(f'--cfg-options takes KEY=VALUE, got {wrong[0]!r}')
    if not options:
        return {}
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args(['--cfg-options', *options]).cfg_options
