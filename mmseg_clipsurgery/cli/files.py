"""Photos in, results out: which files, under which names.

    PHOTOS  files, and folders with all that is in them      OUT/<name>_<task>.png, OUT/<name>_<task>.json, ...

A name is the photo's path below the folder that was given (or its base name), without its ending; where two photos
would share one (cat.jpg, cat.png), they keep their endings.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..api.images import SUFFIXES


@dataclass(frozen=True)
class Photo:
    """A photo's file, and the name of its results, a path below the output folder."""

    path: Path
    name: str


def find_photos(inputs: Sequence[str], out: Path) -> list[Photo]:
    """Files and the photos in folders, in order of their names; nothing below `out`, no hidden files.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: a folder without photos, or two photos whose results would have one name.
    """
    found: dict[Path, Path] = {}
    for given in inputs:
        path = Path(given).expanduser()
        if path.is_dir():
            found.update({photo: photo.relative_to(path) for photo in photos_below(path, out.resolve())})
        elif path.exists():
            found[path] = Path(path.name)
        else:
            raise FileNotFoundError(f'{given} does not exist; give photos or folders of photos')
    stems = Counter(str(relative.with_suffix('')) for relative in found.values())
    photos: dict[str, Photo] = {}
    for path, relative in found.items():
        stem = str(relative.with_suffix(''))
        name = Path(stem if stems[stem] == 1 else relative).as_posix()
        if name in photos:
            raise ValueError(
                f'the results of {photos[name].path} and {path} would both be named {name}; give the folder that '
                'holds both, or ask in two runs'
            )
        photos[name] = Photo(path, name)
    return list(photos.values())


def photos_below(folder: Path, out: Path) -> list[Path]:
    """All photos in a folder and below, sorted."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name[0] != '.' and (here / name).resolve() != out)
        found += [
            here / name for name in sorted(names) if name[0] != '.' and Path(name).suffix.lower() in SUFFIXES
        ]
    if not found:
        raise ValueError(f'{folder} holds no photos ({", ".join(sorted(SUFFIXES))})')
    return found
