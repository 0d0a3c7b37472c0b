"""Metrics of the test loop."""
