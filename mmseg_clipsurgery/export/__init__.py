"""Writing a model for use elsewhere."""
