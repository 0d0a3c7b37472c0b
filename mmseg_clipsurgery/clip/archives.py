"""Zip archives of weights, looked at before torch reads them: torch checks neither their sums nor their sizes.

    <name>/data.pkl        a pickle whose tensors name their storage: type, key, number of values
    <name>/data/<key>      the storage's bytes              (constants.pkl and constants/ likewise, in TorchScript)
    <name>/code/*.py       TorchScript's code

torch reads as many bytes as the pickle says, beyond the end of a shorter member; it takes a member whose checksum is
wrong; and it unpacks a member of any size. So all three are looked at here. The pickle is read with stand-ins for
everything it names, so that nothing of it is executed.
"""

import pickle
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..environment.files import decoding

STORAGES = ('data', 'constants')  # of NAME.pkl, in NAME/
BYTES = dict(Double=8, Long=8, ComplexFloat=8, ComplexDouble=16, Float=4, Int=4, Half=2, BFloat16=2, Short=2)
REMEDY = 'fetch it again, or save it anew with torch.save'
MOST_RATIO, ALWAYS = 20, 64 << 20  # an archive may unpack to so many times its size, and to so many bytes


class StandIn:
    """Takes whatever a pickle does with an object, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> 'StandIn':
        return super().__new__(cls)

    def __call__(self, *_: Any) -> 'StandIn':
        return self

    def ignored(self, *_: Any) -> None:
        """In place of what would change an object."""

    __init__ = __setstate__ = __setitem__ = append = extend = add = ignored


class StorageReader(pickle._Unpickler):
    """Reads which storages a pickle names: `bytes_of`, by key."""

    def __init__(self, file: Any):
        super().__init__(file)
        self.bytes_of: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> type:
        """A stand-in of that name, whatever is asked for."""
        return type(name, (StandIn,), {})

    def persistent_load(self, stated: Any) -> None:
        """Note a storage: ('storage', its type, key, device, number of values)."""
        _, kind, key, _, count = stated
        self.bytes_of[key] = BYTES.get(kind.__name__.removesuffix('Storage'), 1) * count


def is_archive(path: Path) -> bool:
    """Whether torch would read a file as a zip archive, or Python's zipfile would."""
    with path.open('rb') as file:
        begins = file.read(4) == b'PK\3\4'
    with decoding(path, 'archive'):
        return begins or zipfile.is_zipfile(path)


def code_of(path: Path) -> bytes:
    """All code in a TorchScript archive; empty for every other file.

    Raises:
        ValueError: it is an archive, and not a sound one, see `check_archive`.
    """
    if not is_archive(path):
        return b''
    check_archive(path)
    with decoding(path, 'archive'), zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if is_code(entry.filename)]
        return b''.join(map(archive.read, entries))


def is_code(name: str) -> bool:
    """Whether torch, which finds members whatever the case of their names, may take one for code."""
    return '/code/' in name.lower() and name.lower().endswith('.py')


def check_archive(path: Path) -> None:
    """Make sure that an archive's members are what it says of them; each file once as long as it stays the same.

    Raises:
        ValueError: it is damaged, unpacks to far more than its size, or a storage is shorter than its pickle says.
    """
    state = path.stat()
    _check_archive(path, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=16)
def _check_archive(path: Path, *version: int) -> None:
    with decoding(path, 'archive', REMEDY), zipfile.ZipFile(path) as archive:
        refuse_bomb(archive, path.stat().st_size)
        if damaged := archive.testzip():
            raise ValueError(f'the checksum of {damaged} is wrong')
        for name in archive.namelist():
            folder, _, file = name.rpartition('/')
            if file.removesuffix('.pkl') in STORAGES and file.endswith('.pkl'):
                check_storages(archive, name, f'{folder}/{file.removesuffix(".pkl")}')


def refuse_bomb(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive of `size` bytes that unpacks to far more. Raises ValueError."""
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(ALWAYS, MOST_RATIO * size):
        raise ValueError(f'its {size:,} bytes unpack to {unpacked:,}')


def check_storages(archive: zipfile.ZipFile, pickled: str, folder: str) -> None:
    """Compare the storages that a pickle names with the members in its folder. Raises ValueError for shorter ones."""
    with archive.open(pickled) as file:
        reader = StorageReader(file)
        reader.load()
    for key, stated in reader.bytes_of.items():
        found = archive.getinfo(f'{folder}/{key}').file_size
        if found < stated:
            raise ValueError(f'{folder}/{key} has {found:,} bytes where {stated:,} are stated')
