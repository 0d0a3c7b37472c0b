"""CLIP Surgery and its training-free neighbours: images and words to maps and labels, without training.

`import mmseg_clipsurgery` makes sure that torchvision can be imported (`environment.torchvision_shim`), so import it
before open_clip and mmseg.apis. Where MMSegmentation is installed, everything is registered there. The package's own
commands (`environment.commands`) get all of this when they first need it, after their arguments are parsed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmseg_clipsurgery.environment.commands import running_command
from mmseg_clipsurgery.environment.stack import mmseg_installed
from mmseg_clipsurgery.resources import config
from mmseg_clipsurgery.surgery import SURGERIES, Surgery
from mmseg_clipsurgery.version import __version__

if TYPE_CHECKING:
    from mmseg_clipsurgery.affinities import AFFINITIES, Affinity
    from mmseg_clipsurgery.api.loading import load
    from mmseg_clipsurgery.explainers.explainer import Explainer
    from mmseg_clipsurgery.explainers.table import EXPLAINERS

__all__ = [
    'AFFINITIES',
    'EXPLAINERS',
    'SURGERIES',
    'Affinity',
    'Explainer',
    'Surgery',
    '__version__',
    'config',
    'load',
]

# Public names of modules that import torch.
_MODULES = {
    'AFFINITIES': 'mmseg_clipsurgery.affinities',
    'Affinity': 'mmseg_clipsurgery.affinities',
    'EXPLAINERS': 'mmseg_clipsurgery.explainers.table',
    'Explainer': 'mmseg_clipsurgery.explainers.explainer',
    'load': 'mmseg_clipsurgery.api.loading',
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """The public names, also of modules that are imported when they are first needed."""
    return sorted({*__all__, *(name for name in globals() if name.startswith('__'))})


if not running_command():
    from mmseg_clipsurgery.environment import torchvision_ready  # noqa: F401

    for module in _MODULES.values():
        import_module(module)
    if mmseg_installed():
        import_module('mmseg_clipsurgery.evaluation.registration')
