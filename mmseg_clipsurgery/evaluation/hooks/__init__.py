"""Hooks of the test loop."""
