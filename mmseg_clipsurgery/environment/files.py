"""Files that are there whole or not at all, whatever interrupts their writing, whoever else writes them."""

import os
from collections.abc import Callable
from pathlib import Path


def atomic_write(path: str | Path, save: Callable[[Path], object]) -> None:
    """Call `save` with a temporary name beside `path` and rename the result, creating folders as needed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        save(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
