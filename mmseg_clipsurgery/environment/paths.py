"""Paths as users write them."""

import errno
import os
import re
from os import PathLike
from pathlib import Path

URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]+://')
SHOWN = 60  # characters of a path that is too long


def user_path(given: str | PathLike[str]) -> Path:
    """A path, `~` expanded, whether or not something is there.

    Raises:
        ValueError: it is no path, is empty, holds a null character, is longer than the system takes, or names the home
            of a user who is not known.
    """
    if not isinstance(given, str | PathLike):
        raise ValueError(f'got {given!r} where a path is expected; give a string or a Path')
    text = os.fspath(given)
    if not text:
        raise ValueError("got '' where a path is expected; give one, '.' is the present folder")
    if '\0' in text:
        raise ValueError(f'the path {text!r} holds a null character, which no path can; remove it')
    try:
        path = Path(text).expanduser()
        os.lstat(path)
    except RuntimeError:
        raise ValueError(
            f'{text} names the home of a user who is not known here; write the folder out'
        ) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(
                f'{text[:SHOWN]}... is a path of {len(text)} characters, longer than the system takes'
            ) from None
    return path


def folder_to_write(given: str | PathLike[str], name: str) -> Path:
    """A folder that can be written into, whether or not it is there; nothing is made.

    Args:
        given: its path.
        name: of the setting, for messages: '--out'.

    Raises:
        ValueError: as `user_path`; a part of the path is a file; or what there is of it can't be written.
    """
    folder = user_path(given)
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise ValueError(f'{name} {given}: {there} is no folder; give a folder')
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(
            f'{name} {given}: {there} can not be written by this user; give a folder of your own'
        )
    return folder


def file_to_write(given: str | PathLike[str], name: str) -> Path:
    """A file that can be written, whether or not it is there; nothing is made.

    Args:
        given: its path.
        name: of the setting, for messages: '--out'.

    Raises:
        ValueError: as `folder_to_write` of its folder, or it is a folder itself.
    """
    path = user_path(given)
    if path.is_dir():
        raise ValueError(f'{name} {given} is a folder; give a file')
    folder_to_write(path.absolute().parent, name)
    return path


def local_path(path: str | PathLike[str]) -> Path:
    """The path of an image's file. Raises ValueError for a URL."""
    if URL.match(os.fspath(path)):
        raise ValueError(f'{path} is a URL; download it, and give the file or its bytes')
    return user_path(path)
