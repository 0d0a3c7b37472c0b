"""Judging a test run: metrics, hooks, preflight, results, processes; importing it registers metrics and hooks."""

from .hooks import heat_maps, test_loop
from .metrics import explainability, recognition_map, segmentation

__all__ = ['explainability', 'heat_maps', 'recognition_map', 'segmentation', 'test_loop']
