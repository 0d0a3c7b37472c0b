"""Judging a test run: `evaluate`, metrics, hooks, preflight, results, processes.

Importing it registers all that a run may name in MMSeg: metrics and hooks, models and data sets. Where MMSeg is not
installed nothing is registered, and there is no `evaluate`.
"""

from ..environment.stack import mmseg_installed

if mmseg_installed():
    from .. import datasets, models  # noqa: F401
    from .hooks import heat_maps, test_loop  # noqa: F401
    from .metrics import explainability, recognition_map, segmentation  # noqa: F401
    from .runner import evaluate  # noqa: F401
