"""Importing this imports MMSeg without its noise: before the folders that register their classes in it."""

from . import stack, torchvision_ready  # noqa: F401 - torchvision first
from .quiet import import_quietly

stack.require_mmseg()
import_quietly(('mmseg.datasets', 'mmseg.models'))
