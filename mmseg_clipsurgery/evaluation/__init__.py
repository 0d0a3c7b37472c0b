"""Judging a test run: metrics, hooks, preflight, results, processes, and what registers all that a run names."""
