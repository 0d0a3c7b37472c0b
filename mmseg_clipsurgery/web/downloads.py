"""Answers as files that a visitor fetches: labels, and the formats of `api.formats`.

Each time a new folder is made; of these the last `FOLDERS` are kept.
"""

import re
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ..api.formats.coco import write_coco
from ..api.results import Points, PromptedMask, Segmentation, compare

FOLDERS = 64


class Downloads:
    """Where files for visitors are written.

    Args:
        root: an existing folder of ours alone.
    """

    def __init__(self, root: Path):
        self.root = root
        self._folders: deque[Path] = deque()
        self._lock = threading.Lock()

    def folder(self) -> Path:
        """A new folder; one that is too old is removed."""
        made = Path(tempfile.mkdtemp(dir=self.root))
        with self._lock:
            self._folders.append(made)
            old = self._folders.popleft() if len(self._folders) > FOLDERS else None
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
        return made


def segmentation_files(
    results: Mapping[str, Segmentation], photo: str, folder: Path
) -> tuple[list[Path], str]:
    """Write label maps and other formats of each method, and the figure.

    Args:
        results: by method.
        photo: its file's name.
        folder: to write into.

    Returns:
        The files, and a line on what could not be written, perhaps empty.
    """
    files, note = [], ''
    stem = file_name(Path(photo).stem)
    for name, result in results.items():
        paths = {kind: folder / f'{stem}_{file_name(name)}_{kind}' for kind in KINDS}
        result.save_labels(paths['labels.png'])
        result.save_palette(paths['palette.png'])
        result.save_labelme(paths['labelme.json'], folder / photo)
        files += [paths[kind] for kind in ('labels.png', 'palette.png', 'labelme.json')]
        try:
            write_coco(paths['coco.json'], {photo: partial(np.asarray, result.labels)}, result.classes)
            files.append(paths['coco.json'])
        except ImportError as error:
            note = str(error)
    figure = folder / f'{stem}_figure.png'
    compare(results).save(figure)
    return [*files, figure], note


KINDS = ('labels.png', 'palette.png', 'labelme.json', 'coco.json')


def points_files(result: Points | PromptedMask, photo: str, folder: Path) -> list[Path]:
    """Write the points as SAM takes them, and the mask where there is one."""
    stem = file_name(Path(photo).stem)
    files = [folder / f'{stem}_points.json']
    result.save_record(files[0])
    if isinstance(result, PromptedMask):
        files.append(folder / f'{stem}_mask.png')
        result.save_mask(files[1])
    return files


def file_name(text: str) -> str:
    """A text as a part of a file's name, at most 80 characters."""
    return re.sub(r'[^\w.+-]', '_', text)[:80] or 'photo'
