"""What results came from, noted beside them: results of another photo or question are never taken for the answer.

    OUT/<task>.settings.json         what decides all results: weights (SHA-256), surgeries, templates, words, drawing
    OUT/<name>_<task>.origin.json    of one photo: its path and SHA-256, the SHA-256 of the settings and of each output

A photo is answered when its record names this photo and these settings, and all outputs are there as they were
written. The record is written last, so a run that was stopped leaves no record of what is not there. The settings are
noted with the first result of a folder, so a run that could not answer anything does not stand in the way of the
corrected one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ..environment.files import write_json
from ..environment.ownership import is_trusted

UNCOMPARED = 'weights_file'  # of the settings: where the weights lay, and when they were last hashed
# Of the settings, those that are no option's own name.
OPTIONS = {
    'among': '--against',
    'config': 'model config (--arch, --weights, --quick-gelu)',
    'words': '--words or --vocabulary',
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Of a file of any size."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(1 << 24):
            digest.update(chunk)
    return digest.hexdigest()


def weights_sha256(file: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """SHA-256 of weights; a file that was hashed by an earlier run and has its size and time still is not read again.

    Args:
        file: its `path` (None: there is no file), `size` and `time`, see `weights_file`.
        before: settings of an earlier run in the same folder, perhaps empty.
    """
    if before.get(UNCOMPARED) == file and isinstance(before.get('weights'), str):
        return before['weights']
    return None if file['path'] is None else file_sha256(Path(file['path']))


def weights_file(path: Path | None) -> dict[str, Any]:
    """Where weights lie, their size in bytes and when they were changed (ns): as it may be set, and as it was."""
    if path is None:
        return {'path': None, 'size': 0, 'time': [0, 0]}
    stat = path.stat()
    times = [stat.st_mtime_ns, stat.st_ctime_ns]
    return {'path': str(path.absolute()), 'size': stat.st_size, 'time': times}


def read_record(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty where there is no such file, it holds something else, or isn't to be trusted."""
    try:
        found = json.loads(path.read_bytes()) if is_trusted(path) else None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class RunSettings:
    """What decides the results of a run, noted beside the first of them.

    Args:
        path: OUT/<task>.settings.json.
        settings: what JSON can hold; `UNCOMPARED` is noted and not compared.
        overwrite: replace the note of another run.
        beside: further notes that the first result brings: path -> what JSON can hold.

    Raises:
        ValueError: the folder holds results of other settings.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        overwrite: bool,
        beside: Mapping[Path, Mapping[str, Any]] | None = None,
    ):
        self.path, self.settings = path, json.loads(json.dumps(settings))
        self.beside = beside or {}
        before = read_record(path)
        names = [name for name in {**self.compared, **before} if name != UNCOMPARED]
        changed = [name for name in names if before.get(name) != self.compared.get(name)]
        if before and changed and not overwrite:
            raise ValueError(
                f'{path.parent} holds results of a run with another {" and ".join(map(option_of, changed))}; '
                'give another --out, or --overwrite them'
            )
        if before:
            self.note()

    @property
    def compared(self) -> dict[str, Any]:
        """Those that decide."""
        return {name: value for name, value in self.settings.items() if name != UNCOMPARED}

    @property
    def sha256(self) -> str:
        """SHA-256 of what is compared."""
        return sha256(json.dumps(self.compared, sort_keys=True).encode())

    @cache  # noqa: B019 - one of a run
    def note(self) -> None:
        """Write them, once."""
        for path, note in {**self.beside, self.path: self.settings}.items():
            write_json(path, note)


def option_of(setting: str) -> str:
    """The option by which a command sets what is noted."""
    return OPTIONS.get(setting) or f'--{setting.replace("_", "-")}'


class Origin:
    """What the results of one photo come from.

    Args:
        photo: path of the file.
        data: the bytes of that file.
        settings: SHA-256 of the run's settings.
        record: where the origin is noted.
        outputs: all files that are written for the photo.
    """

    def __init__(self, photo: Path, data: bytes, settings: str, record: Path, outputs: Sequence[Path]):
        self.photo = {'path': str(photo.absolute()), 'sha256': sha256(data)}
        self.settings, self.record, self.outputs = settings, record, outputs

    @cached_property
    def noted(self) -> dict[str, Any]:
        """What an earlier run noted."""
        return read_record(self.record)

    def why_unanswered(self) -> str | None:
        """Why the photo has to be answered: 'new', or what is wrong with what is there; None: it is answered."""
        noted = self.noted
        if not noted:
            return 'with results of unknown origin' if any(path.exists() for path in self.outputs) else 'new'
        if noted.get('photo') != self.photo:
            return 'with results of another photo'
        if noted.get('settings') != self.settings:
            return 'with results of other settings'
        files = noted.get('outputs')
        unchanged = isinstance(files, dict) and all(
            path.is_file() and files.get(path.name) == file_sha256(path) for path in self.outputs
        )
        return None if unchanged else 'with results missing or changed'

    def note(self) -> None:
        """Record the outputs, which are all written by now, beside those of the same origin that are there already."""
        same = self.noted.get('photo') == self.photo and self.noted.get('settings') == self.settings
        earlier = self.noted.get('outputs') if same else {}
        outputs = {path.name: file_sha256(path) for path in self.outputs}
        kept = earlier if isinstance(earlier, dict) else {}
        write_json(
            self.record,
            {'photo': self.photo, 'settings': self.settings, 'outputs': {**kept, **outputs}},
        )
