"""The scenes on disk, in PASCAL VOC's layout, drawn on first use.

    FOLDER/JPEGImages/val_000.png            RGB (lossless, so PNG in spite of the folder's name)
    FOLDER/SegmentationClass/val_000.png     one label a pixel, with a palette
    FOLDER/ImageSets/Segmentation/val.txt    names, one a line; also heldout.txt and dev.txt, and of the held-out scenes
                                             heldout_tints.txt and heldout_grounds.txt

Pixels and masks of each split have a recorded SHA-256: figures measured on another machine are about the same images,
or the folder isn't written; and those of files that have changed since are refused. A folder appears complete or not at
all, whatever number of processes write it.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from ..environment.stack import CACHE_VARIABLE, cache_folder
from ..visualization.palette import label_colours
from . import spec
from .draw import Rule, Scene, draw_scene

CHECKSUMS = {
    'dev': '56a24d883046b66cff484d24fbfe91bfc8eae04388713ab396935d9c3b9bbfce',
    'val': '1bd059d5cf2ab141b282f3b0f537f994747830c6d22baa4d1daaafb0f7a8122b',
    'heldout': 'b6b11e02c9d1fa807cd804802691c395850ad1d78afc997961d631c7fbf14d35',
}

# RGB of each class, for viewers of the masks
MASK_COLOURS = dict(zip(spec.CLASSES, label_colours(len(spec.CLASSES)), strict=True))

# Of earlier versions, by which their folders are recognised and named.
EARLIER = {
    'ffc7847376851b5247d974b5ff30f72c5defe1176cd1c7489cf1239afdba9736': 2,
    '7026fffa71cf0f1393c9e6315298112ff9d4a711a86406e486da8bce0c31ea12': 2,
    '2fd7c8c1eba5301ce4d1570115bf6033261262f9c046180af6e7ec02b7edc627': 2,
}

# (folder, split) that this process has checked -> state of its files
_sound: dict[tuple[Path, str], tuple] = {}


def ensure(root: str | os.PathLike | None = None, splits: Iterable[str] = tuple(spec.SCENES)) -> Path:
    """The folder of scenes, drawn (in a few seconds) when it is missing.

    Args:
        root: the folder itself; None: `scenes-v3` in the package's cache folder (see `environment.stack.cache_folder`).
        splits: whose files are looked at, see `check_split`.

    Raises:
        ValueError: something else is at that place, a file has changed since it was drawn, or it can't be written.
        FileNotFoundError: there is no cache folder.
        RuntimeError: this machine draws other scenes.
    """
    folder = Path(root) if root is not None else cache_folder() / f'scenes-v{spec.VERSION}'
    try:
        if not is_complete(folder):
            write_voc(folder)
    except OSError as error:
        raise ValueError(
            f'the scenes cannot be drawn into {folder} ({error.strerror or error}): set {CACHE_VARIABLE} to a folder '
            'that you may write to'
        ) from error
    for split in splits:
        check_split(folder, split)
    return folder


def check_split(folder: Path, split: str) -> None:
    """Make sure that a split's files hold what was drawn; again only where one of them was written since.

    Raises:
        ValueError: one does not.
    """
    remedy = f'remove {folder}, and it is drawn anew'
    try:
        names, files = _listed(folder, split)
        states = [os.stat(file) for file in (*files, _list_file(folder, split))]
        stamps = tuple((state.st_mtime_ns, state.st_ctime_ns, state.st_size) for state in states)
        if _sound.get((folder, split)) == stamps:
            return
        digest = _digest(files)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'a file of the {split} scenes is missing or damaged ({error}); {remedy}') from error
    if digest in EARLIER:
        raise ValueError(f'{folder} holds scenes of version {EARLIER[digest]}, not {spec.VERSION}; {remedy}')
    if digest != CHECKSUMS[split] or names != _names(split, spec.SCENES[split]):
        raise ValueError(f'{folder} holds other {split} scenes than were drawn; {remedy}')
    _sound[folder, split] = stamps


def refuse_earlier(root: str | os.PathLike, splits: Iterable[str]) -> None:
    """Name a folder of scenes that are no longer drawn, so that no figure is taken for one of today's.

    Args:
        root: the folder; one with names of the user's own passes unread, and so does one whose files can't be read,
            which the preflight names.
        splits: whose files are looked at.

    Raises:
        ValueError: they are scenes of an earlier version.
    """
    for split in splits:
        try:
            names, files = _listed(Path(root), split)
            if names != _names(split, len(names)):
                continue
            digest = _digest(files)
        except (
            OSError,
            UnicodeDecodeError,
            SyntaxError,
            Image.DecompressionBombError,
        ):  # of Pillow's readers, too
            continue
        if digest in EARLIER:
            raise ValueError(
                f'{root} holds scenes of version {EARLIER[digest]}, not {spec.VERSION}: leave data_root out, and '
                "today's are drawn"
            )


def _listed(folder: Path, split: str) -> tuple[list[str], list[Path]]:
    """Names of a split's scenes, and their files: image and mask of each in turn."""
    names = _list_file(folder, split).read_text().split()
    return names, [place / f'{name}.png' for name in names for place in places(folder)]


def _digest(files: Iterable[Path]) -> str:
    """SHA-256 over the pixels of files, in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(np.asarray(Image.open(file)).tobytes())
    return digest.hexdigest()


def places(folder: Path) -> tuple[Path, Path]:
    """The folders of images and of masks."""
    return folder / 'JPEGImages', folder / 'SegmentationClass'


def is_complete(folder: Path) -> bool:
    """Whether the folder holds scenes.

    Raises:
        ValueError: something else is there.
    """
    if all(_list_file(folder, split).is_file() for split in spec.SCENES):
        return True
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ValueError(f'{folder} exists and holds no scenes: name another folder, or remove it.')
    return False


def write_voc(root: str | os.PathLike, splits: Iterable[str] = tuple(spec.SCENES)) -> None:
    """Draw splits into a folder that is new or empty; if another process fills it meanwhile, that folder is kept.

    Args:
        root: the folder.
        splits: names of `spec.SCENES`.

    Raises:
        RuntimeError: this machine draws other scenes.
    """
    folder = Path(root).absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f'.{folder.name}-', dir=folder.parent))
    try:
        for split in splits:
            _write_split(workplace, split)
        workplace.chmod(0o755)  # mkdtemp's own is for one user only
        _move(workplace, folder)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def checksum(scenes: Iterable[Scene]) -> str:
    """SHA-256 over images and masks, in order."""
    digest = hashlib.sha256()
    for scene in scenes:
        digest.update(scene.image.tobytes())
        digest.update(scene.mask.tobytes())
    return digest.hexdigest()


def _write_split(folder: Path, split: str) -> None:
    scenes = [draw_scene(split, index) for index in range(spec.SCENES[split])]
    if checksum(scenes) != CHECKSUMS[split]:
        raise RuntimeError(
            f'The {split} scenes drawn here have SHA-256 {checksum(scenes)}, not {CHECKSUMS[split]}, so figures would '
            'not compare: please report your numpy version and processor.'
        )
    names = _names(split, len(scenes))
    for part in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (folder / part).mkdir(parents=True, exist_ok=True)
    palette = [value for name in spec.CLASSES for value in MASK_COLOURS[name]]
    for name, scene in zip(names, scenes, strict=True):
        Image.fromarray(scene.image).save(folder / 'JPEGImages' / f'{name}.png', compress_level=1)
        mask = Image.fromarray(scene.mask).convert('P')
        mask.putpalette(palette)
        mask.save(folder / 'SegmentationClass' / f'{name}.png', compress_level=1)
    lists = {split: names}
    if split == 'heldout':
        rules = [Rule.of(split, index) for index in range(len(names))]
        for rule, part in ((Rule.TINTS, 'heldout_tints'), (Rule.GROUNDS, 'heldout_grounds')):
            lists[part] = [name for name, its in zip(names, rules, strict=True) if its is rule]
    for part, listed in lists.items():
        _list_file(folder, part).write_text(''.join(f'{name}\n' for name in listed))


def _names(split: str, count: int) -> list[str]:
    return [f'{split}_{index:03d}' for index in range(count)]


def _list_file(folder: Path, split: str) -> Path:
    return folder / 'ImageSets' / 'Segmentation' / f'{split}.txt'


def _move(workplace: Path, folder: Path) -> None:
    """Rename; where another process was first, its folder stays, provided it is complete."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    try:
        os.rename(workplace, folder)
    except OSError:
        if not is_complete(folder):
            raise
