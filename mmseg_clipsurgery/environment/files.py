"""Files that are there whole or not at all, whoever else writes them, and damaged ones told in a sentence.

Of a writer that is killed a temporary file stays behind; the next process that writes into the folder removes it when
it is an hour old.
"""

import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TEMPORARY = '.mmseg_clipsurgery-{}.tmp'  # short: beside a name of 255 bytes there is no room for a longer one
LEFT_BEHIND = re.compile(r'\.mmseg_clipsurgery-[0-9a-f]{16}\.tmp')
OLD = 3600  # seconds
ROOM = 64 << 10  # bytes
LONGEST = 300  # characters of a reason: some libraries list all that they know

_swept: set[Path] = set()  # folders that this process has looked at for what killed writers left


def atomic_write(path: str | Path, save: Callable[[Path], object]) -> None:
    """Call `save` with a temporary name beside `path` and rename the result, creating folders as needed.

    The temporary name is unique and the file is made by this call, so threads and processes can write one path at the
    same time and a link planted there is never followed; the last to finish wins.

    Raises:
        OSError: it can't be written; names `path`, whatever `save` raised on a full disk.
    """
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(path.parent)
    temporary = path.with_name(TEMPORARY.format(secrets.token_hex(8)))
    try:  # an interrupt may come in at any line
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        save(temporary)
        os.replace(temporary, path)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    except Exception as error:  # of torch, safetensors, ONNX, which do not say why
        if not is_full(path.parent):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has less room than anything needs."""
    return shutil.disk_usage(folder).free < ROOM


def remove_left_behind(folder: Path) -> None:
    """Remove old temporary files of killed writers, once for each folder and process."""
    if folder in _swept:
        return
    _swept.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not LEFT_BEHIND.fullmatch(entry.name):
                continue
            with suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > OLD:
                    os.unlink(entry.path)


@contextmanager
def decoding(path: str | Path, kind: str, remedy: str = 'fetch it again') -> Iterator[None]:
    """Turn whatever a decoder makes of a damaged file into one sentence that names it.

    Args:
        path: the file that is read inside this block; it exists.
        kind: what it should be, for the message: 'safetensors file'.
        remedy: what to do.

    Raises:
        ValueError: the file is no such thing.
    """
    try:
        yield
    except Exception as error:  # zipfile's, zlib's, pickle's, json's, torch's: there is no common base
        raise ValueError(f'{path} is not a readable {kind} ({reason(error)}): {remedy}') from error


def read_json(path: Path) -> dict:
    """The object that a JSON file holds. Raises ValueError where it holds anything else."""
    with decoding(path, 'JSON file', 'fetch it again or correct it'):
        content = json.loads(path.read_text(encoding='utf-8'))
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds a {type(content).__name__}, not an object of names and values')
    return content


def write_json(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write JSON in UTF-8; halves of surrogate pairs, as in names of files that are no UTF-8, are escaped."""
    text = json.dumps(record, ensure_ascii=False) + '\n'
    atomic_write(path, lambda temporary: temporary.write_bytes(text.encode('utf-8', 'backslashreplace')))


def reason(error: BaseException) -> str:
    """What went wrong, on one line, without torch's advice to read a file by executing it."""
    text = str(error).strip()
    if inner := re.search(r'(?:WeightsUnpickler error:|Trying to load)\s*(.*)', text):
        text = inner[1].split(' Please')[0].rstrip('. ')
    elif isinstance(error, LookupError):  # their text is a bare key
        text = f'{type(error).__name__} {text}'
    elif 'weights_only' in text:
        text = 'it does not hold tensors alone'
    line = (text or type(error).__name__).splitlines()[0]
    line = line.split('. Please')[0]  # advice of the hub's
    start = line[:LONGEST]
    return line if line == start else f'{start.rpartition(" ")[0] or start} ...'
