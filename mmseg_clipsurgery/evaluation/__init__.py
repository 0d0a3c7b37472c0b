"""Judging a test run: `evaluate`, metrics, hooks, preflight, results, processes, and the registration of all it names.

`evaluate` is imported when it is first used: parts of this folder serve where MMSeg is not installed.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name != 'evaluate':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return import_module(f'{__name__}.runner').evaluate
