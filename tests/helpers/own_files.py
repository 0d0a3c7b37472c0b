"""A user's own files for tests: a method, a data set; and a block after which none of them was ever imported."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from mmseg_clipsurgery.environment import extensions
from mmseg_clipsurgery.protocols.settings import OWN_DATA_SETS

METHOD = """
from mmseg_clipsurgery import SURGERIES, Surgery

SURGERIES['mine'] = Surgery(2, 'kk')
"""

AFFINITY = """
from mmseg_clipsurgery import SURGERIES, Surgery
from mmseg_clipsurgery.affinities import AFFINITIES, Affinity, softmax_weights

AFFINITIES['sharp kk'] = Affinity('kv', weights=lambda p, rows: softmax_weights(p.k, p.k, rows, scale=3.0))
SURGERIES['sharp'] = Surgery(2, 'sharp kk')
"""


@contextmanager
def forgotten() -> Iterator[None]:
    """Inside this block own files may be imported; afterwards tables, modules and paths are as before."""
    known = [
        *(extensions.IMPORTED, extensions.ORIGINS, extensions.TABLES, extensions.FIRST_ROWS, OWN_DATA_SETS),
        *extensions.TABLES.values(),
    ]
    before, modules, path = [dict(table) for table in known], set(sys.modules), sys.path[:]
    try:
        yield
    finally:
        for table, rows in zip(known, before, strict=True):
            table.clear()
            table.update(rows)
        for name in set(sys.modules) - modules:
            if not name.startswith('mmseg_clipsurgery') and getattr(sys.modules[name], '__file__', None):
                folder = Path(sys.modules[name].__file__ or '').parent
                if str(folder) in set(sys.path) - set(path):
                    del sys.modules[name]
        sys.path[:] = path


def write(path: Path, text: str) -> Path:
    """A file with this text, without the indentation that its lines share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path
