"""Judging a test run: metrics, the preflight, results, hooks of the loop, processes, export."""
