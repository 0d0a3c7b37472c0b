"""Photos in, results out: which files, under which names.

    PHOTOS  files, and folders with all that is in them      OUT/<name>_<task>.png, OUT/<name>_<task>.json, ...

A name is the photo's path below the folder that was given (or its base name), without its ending; where two photos
would share one (cat.jpg, cat.png), they keep their endings; a long one is cut and told apart by a digest. Photos in a
folder are files with an image's ending, and files without any ending that begin as images do. Links are followed, and
each folder and file is taken once, under its own name rather than a link's.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..api.image_files import SUFFIXES, begins_as_image
from ..environment.paths import local_path

LONGEST = 160  # bytes of a result's name before its ending; file systems take 255 for all of it


@dataclass(frozen=True)
class Photo:
    """A photo's file.

    Args:
        path: where it is.
        name: of its results, a path below the output folder.
        relative: its path below the folder that was given, or its base name.
    """

    path: Path
    name: str
    relative: str


@dataclass(frozen=True)
class ResultFiles:
    """Where results go.

    Args:
        out: the output folder.
        surgeries: names of the models that are asked.
    """

    out: Path
    surgeries: Sequence[str]

    def path(self, photo: Photo, kind: str) -> Path:
        """OUT/<name>_<kind>."""
        return self.out / f'{photo.name}_{kind}'

    def of_surgery(self, kind: str, surgery: str) -> str:
        """'labels.png', with the surgery's name where there are several."""
        stem, dot, ending = kind.rpartition('.')
        return kind if len(self.surgeries) == 1 else f'{stem}_{surgery}{dot}{ending}'


@dataclass
class Found:
    """What the inputs hold.

    Attributes:
        photos: each real file once, by that file: its path, and its path below the folder that was given.
        skipped: other files, and folders that can't be listed.
    """

    photos: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)

    def add(self, path: Path, relative: Path) -> None:
        self.photos.setdefault(os.path.realpath(path), (path, relative))


def find_photos(inputs: Sequence[str], out: Path) -> tuple[list[Photo], list[Path]]:
    """Files and the photos in folders, in order of their names; nothing below `out`, no hidden files.

    Returns:
        the photos, and what else the folders hold.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: a folder without photos or that is `out` itself, or two photos whose results would have one name.
    """
    found = Found()
    for given in inputs:
        path = local_path(given)
        if path.is_dir():
            add_folder(path, out, found)
        elif path.exists():
            found.add(path, Path(path.name))
        else:
            raise FileNotFoundError(f'{given} does not exist; give photos or folders of photos')
    return named(list(found.photos.values())), found.skipped


def named(files: Sequence[tuple[Path, Path]]) -> list[Photo]:
    """Photos under the names of their results. Raises ValueError for two of one name."""
    stems = Counter(str(relative.with_suffix('')) for _, relative in files)
    photos: dict[str, Photo] = {}
    for path, relative in files:
        stem = str(relative.with_suffix(''))
        name = shortened(Path(stem if stems[stem] == 1 else relative)).as_posix()
        if name in photos:
            raise ValueError(
                f'the results of {photos[name].path} and {path} would both be named {name}; give the folder that '
                'holds both, or ask in two runs'
            )
        photos[name] = Photo(path, name, relative.as_posix())
    return list(photos.values())


def shortened(name: Path) -> Path:
    """The name, its last part cut where it is too long to be followed by an ending."""
    if len(os.fsencode(name.name)) <= LONGEST:
        return name
    head = name.name
    while len(os.fsencode(head)) > LONGEST - 13:
        head = head[:-1]
    return name.with_name(f'{head}-{hashlib.sha256(os.fsencode(name.name)).hexdigest()[:12]}')


def add_folder(folder: Path, out: Path, found: Found) -> None:
    """Add all photos in a folder and below, sorted within each folder. Raises ValueError where there is none."""
    if os.path.realpath(folder) == os.path.realpath(out):
        raise ValueError(f'{folder} is the folder of the photos and of the results; give another --out')
    photos: list[Path] = []
    for path in files_below(folder, out, found.skipped):
        (photos if is_photo(path) else found.skipped).append(path)
    for path in sorted(photos, key=os.path.islink):  # links last, else in the order of the walk
        found.add(path, path.relative_to(folder))
    if not photos:
        raise ValueError(f'{folder} holds no photos ({", ".join(sorted(SUFFIXES))})')


def is_photo(path: Path) -> bool:
    """Whether a file has an image's ending, or none and begins as an image does."""
    return path.suffix.lower() in SUFFIXES or (not path.suffix and begins_as_image(path))


def files_below(folder: Path, out: Path, unlisted: list[Path]) -> Iterator[Path]:
    """All files in a folder and below but for hidden ones; each real folder once, linked ones last."""
    seen, pending = {os.path.realpath(out)}, [str(folder)]

    def note(error: OSError) -> None:
        unlisted.append(Path(os.fsdecode(error.filename)))

    for start in pending:  # grows by the links that are met
        for place, folders, names in os.walk(start, onerror=note):
            real = os.path.realpath(place)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            shown = sorted(name for name in folders if name[0] != '.')
            is_link = {name: os.path.islink(os.path.join(place, name)) for name in shown}
            pending += [os.path.join(place, name) for name in shown if is_link[name]]
            folders[:] = [name for name in shown if not is_link[name]]
            yield from (Path(place, name) for name in sorted(names) if name[0] != '.')
