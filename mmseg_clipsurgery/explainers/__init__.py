"""Explainers: maps of where an image's match with a text comes from; one file a family, the rows in `table`."""
