"""Judging a test run: metrics, hooks, preflight, results, processes.

Importing it registers all that a run may name in MMSeg: metrics and hooks, models and data sets.
"""

from ..environment.stack import mmseg_installed

if mmseg_installed():
    from .. import datasets, models  # noqa: F401
    from .hooks import heat_maps, test_loop  # noqa: F401
    from .metrics import explainability, recognition_map, segmentation  # noqa: F401
