"""A few lines of Python: `load` gives a model that answers questions about photos (see `model`)."""

from ..environment import torchvision_ready  # noqa: F401
