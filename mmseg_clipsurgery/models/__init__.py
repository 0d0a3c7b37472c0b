"""What MMSeg registers: towers, text encoder, head, preprocessor, segmentor, recogniser, test-time augmentation."""

from mmseg.registry import MODELS

from ..clip.families import FAMILIES
from ..clip.text_encoder import OpenCLIPTextEncoder
from . import head, preprocessor, recogniser, segmentor, tta

for part in (*FAMILIES.values(), OpenCLIPTextEncoder):
    MODELS.register_module(module=part)

__all__ = ['head', 'preprocessor', 'recogniser', 'segmentor', 'tta']
