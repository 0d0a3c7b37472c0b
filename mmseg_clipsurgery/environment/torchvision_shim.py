"""Let torchvision be imported where its compiled part can't be loaded.

A torchvision wheel built for another torch (the usual case: a CUDA wheel next to a CPU-only torch) can't load its
binary, and `import torchvision`, so also open_clip, timm and mmseg.apis, ends with "operator torchvision::nms does not
exist". Two operator schemas are all that the import misses; declared beforehand, everything but the compiled operators
works, and nothing here uses those.

It must act before anything imports torchvision: an import that failed half way leaves modules behind, so whether the
binary loads is found out with `torch.ops.load_library` alone. Where it loads, or torchvision is imported already,
nothing is done.
"""

import importlib
import importlib.util
import logging
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch

SCHEMA = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
OPERATORS = ('nms', 'qnms')

logger = logging.getLogger('mmseg_clipsurgery')

# Schemas live as long as their library object.
_declared: list[torch.library.Library] = []


def install() -> bool:
    """Declare the missing operators if torchvision needs them, and log it at debug level (the doctor tells it).

    Returns:
        Whether the operators are declared by us: now or by an earlier call.
    """
    if _declared:
        return True
    if 'torchvision' in sys.modules or binary_problem() is None:
        return False
    if all(hasattr(torch.ops.torchvision, name) for name in OPERATORS):
        return False
    library = torch.library.Library('torchvision', 'DEF')
    for name in OPERATORS:
        library.define(name + SCHEMA)
    _declared.append(library)
    logger.debug(
        "torchvision's binary can't be loaded next to torch %s: its compiled operators (nms, ...) are not there; "
        'mmseg_clipsurgery needs none of them',
        torch.__version__,
    )
    return True


def require() -> None:
    """Import torchvision, as open_clip will.

    Raises:
        ImportError: with the remedy, where that fails for another reason, such as a build for another CUDA.
    """
    try:
        importlib.import_module('torchvision')
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ImportError(
            f"mmseg_clipsurgery: torchvision can't be imported next to torch {torch.__version__} ({reason}); "
            'mend it with: pip install --force-reinstall torch torchvision'
        ) from error


def binary_problem() -> str | None:
    """Why torchvision's compiled part can't be loaded; None where it can, or where there is no torchvision."""
    spec = importlib.util.find_spec('torchvision')
    if spec is None or not spec.submodule_search_locations:
        return None
    folders = [Path(location) for location in spec.submodule_search_locations]
    candidates = [folder / f'_C{suffix}' for folder in folders for suffix in EXTENSION_SUFFIXES]
    binary = next((path for path in candidates if path.is_file()), None)
    if binary is None:
        return f'there is no _C binary in {folders[0]}'
    try:
        torch.ops.load_library(str(binary))
    except (OSError, ImportError) as error:
        return str(error.__cause__ or error).splitlines()[0]
    return None
