"""A few lines of Python: `load` gives a model that labels, explains and recognises photos (see `model`)."""

from ..environment import torchvision_ready  # noqa: F401
