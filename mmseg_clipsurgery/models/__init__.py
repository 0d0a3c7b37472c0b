"""What MMSeg registers: towers, text encoder, head, preprocessor, segmentor, recogniser, test-time augmentation."""

from ..clip import text_encoder, towers
from . import head, preprocessor, recogniser, segmentor, tta

__all__ = ['head', 'preprocessor', 'recogniser', 'segmentor', 'text_encoder', 'towers', 'tta']
