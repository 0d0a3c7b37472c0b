"""Whose files a cache holds: what another user may have put there is not believed.

Where a folder on the way to a file may be written by everyone (/tmp), what stands in it is believed only if it is
this user's or the superuser's own; a file that everyone may write is not believed anywhere.
"""

import os
import stat
from pathlib import Path


def is_trusted(path: Path) -> bool:
    """Whether nobody but this user and the superuser, or whom they let, can have written a file.

    Args:
        path: it exists. Links on the way to it count as what they are and as what they lead to.

    Returns:
        True where the system knows no owners.
    """
    if not hasattr(os, 'geteuid'):
        return True
    named, real = Path(os.path.abspath(path)), Path(os.path.realpath(path))
    writable = bool(real.stat().st_mode & stat.S_IWOTH)
    return not writable and all(is_own(entry) for entry in {*steps(named), *steps(real)})


def steps(path: Path) -> list[Path]:
    """The entries on the way to a path, itself included."""
    return [path, *path.parents][:-1]


def is_own(entry: Path) -> bool:
    """Whether an entry of a folder is this user's or the superuser's, where everyone may write into the folder."""
    open_to_all = entry.parent.stat().st_mode & stat.S_IWOTH
    return not open_to_all or entry.lstat().st_uid in (os.geteuid(), 0)
