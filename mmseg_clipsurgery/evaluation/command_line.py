"""What the commands share: configs by file or name, and mistakes told in one sentence.

A user's mistake (ValueError, FileNotFoundError) ends in `error: ...` and exit code 1; `--debug` or
MMSEG_CLIPSURGERY_DEBUG=1 shows the traceback instead. Any other error is ours and shows it always.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..shipped import config as shipped_config


def guarded(action: Callable[[], object], debug: bool = False) -> int:
    """Run a command; its exit code."""
    try:
        action()
    except (ValueError, FileNotFoundError) as error:
        if debug or os.environ.get('MMSEG_CLIPSURGERY_DEBUG', '0') not in ('', '0'):
            raise
        print(f'error: {sentence(error)}', file=sys.stderr)
        return 1
    return 0


def sentence(error: Exception) -> str:
    """An error's message on one line, without what data loaders and registries put around it."""
    text = str(error).strip()
    if 'Original Traceback' in text:
        text = re.sub(r'^[\w.]+(Error|Exception|File): ', '', text.splitlines()[-1])
    text = re.sub(r'^(class `\w+` in \S+: )+', '', text)
    return ' '.join(text.split())


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
