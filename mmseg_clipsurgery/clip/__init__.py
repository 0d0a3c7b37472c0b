"""The one door to open_clip: sources, checkpoints, towers, tokenizer, text encoder."""

from ..environment import torchvision_ready  # noqa: F401
