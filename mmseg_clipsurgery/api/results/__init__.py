"""What the Python interface returns: small frozen records that can be drawn, saved and compared."""

from .base import Result, compare
from .heat import HeatMaps, PatchAttention
from .points import Points, PromptedMask
from .segmentation import Segmentation
from .words import Recognition, TextExplanation

__all__ = [
    'HeatMaps',
    'PatchAttention',
    'Points',
    'PromptedMask',
    'Recognition',
    'Result',
    'Segmentation',
    'TextExplanation',
    'compare',
]
