"""The one door to open_clip: sources, checkpoints, towers, tokenizer, text encoder."""

from ..environment import torchvision_ready  # noqa: F401 - before open_clip
from ..environment.quiet import import_quietly

import_quietly(['open_clip'])  # older releases warn of timm's modules
