"""Importing this makes torchvision importable: before open_clip, MMSeg and transformers, which import it."""

from . import stack

stack.require()

from . import torchvision_shim  # noqa: E402 - imports torch, which may have been missing

torchvision_shim.install()
torchvision_shim.require()
