"""A few lines of Python: `load` gives a model that answers questions about photos (see `model`)."""
