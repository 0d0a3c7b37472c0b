"""The embedded benchmark: procedurally drawn scenes with exact masks. It says nothing about real photos.

`spec` is the benchmark as data, `textures` and `shapes` are its parts, `draw` makes a scene from (split, index),
`words` captions and tokens, `curriculum` training batches, `voc` the folder on disk. The model trained on it is in
`resources/scenes`.
"""

from .draw import Plan, Scene, draw_scene
from .spec import CLASSES, GROUNDS, OBJECTS, VERSION
from .voc import ensure, write_voc
from .words import caption

__all__ = [
    'CLASSES',
    'GROUNDS',
    'OBJECTS',
    'VERSION',
    'Plan',
    'Scene',
    'caption',
    'draw_scene',
    'ensure',
    'write_voc',
]
