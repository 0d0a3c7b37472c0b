"""What must be installed, found out without importing it, and the sentence that mends what isn't.

The core (torch, torchvision, open_clip) is required. MMSeg's stack is optional: without it nothing is registered, and
the commands that evaluate say so. Two families of distributions give its import names, and installed together they
overwrite each other's files:

    import name    OpenMMLab's               the maintained fork
    mmengine       mmengine, mmengine-lite   onedl-mmengine
    mmcv           mmcv, mmcv-lite           onedl-mmcv
    mmseg          mmsegmentation            onedl-mmsegmentation

So the package depends on neither by name, and asks here, before anything else is imported. Only the standard
library is used: this has to work where everything else is broken.
"""

import importlib.util
import os
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROVIDERS = {
    'mmengine': ('onedl-mmengine', 'mmengine', 'mmengine-lite'),
    'mmcv': ('onedl-mmcv', 'mmcv', 'mmcv-lite'),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
}
FORK = 'pip install onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2'
# OpenMMLab's mmcv is compiled while it is installed, against the torch that is there; its setup.py and mmengine
# import pkg_resources, which newer setuptools no longer have.
OPENMMLAB = (
    'pip install "setuptools<81" mmengine==0.10.7 mmsegmentation==1.2.2 && '
    'pip install --no-build-isolation mmcv==2.1.0'
)
REMEDIES = {
    'torch': 'pip install torch',
    'torchvision': 'pip install torchvision',
    'open_clip': 'pip install "open_clip_torch>=2.20"',
}
OPEN_CLIP_MIN = '2.20'
OPENMMLAB_MMCV_MAX = '2.2'  # mmsegmentation 1.2.2 asserts mmcv < 2.2.0, in words that ask for another mmcv
CACHE_VARIABLE = 'MMSEG_CLIPSURGERY_CACHE'


def require() -> None:
    """Check what the package needs, and MMSeg's stack where one is installed.

    Raises:
        ImportError: torch, torchvision or open_clip is missing or too old; MMSeg's stack is installed in part, or two
            distributions over each other, or versions exclude each other; with the remedy.
    """
    _raise(missing(REMEDIES) or old_open_clip() or (mmseg_problem() if mmseg_installed() else None))


def require_mmseg() -> None:
    """Check what the commands need that evaluate with MMSegmentation.

    Raises:
        ImportError: as `require`, and where no MMSeg is installed.
    """
    require()
    if not mmseg_installed():
        _raise(('MMSegmentation is not installed, and this command needs it', stack_remedy()))


def mmseg_installed() -> bool:
    """Whether a stack is there, whole or in part; `mmengine` alone belongs to other projects."""
    return any(importlib.util.find_spec(name) is not None for name in ('mmcv', 'mmseg'))


def mmseg_problem() -> tuple[str, str] | None:
    """Why the installed stack can't be used, as (sentence, remedy)."""
    return missing(PROVIDERS) or clash() or cap() or uncompiled()


def missing(names: Iterable[str]) -> tuple[str, str] | None:
    """The first of some import names that can't be found, as (sentence, remedy)."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            return f'{name} is not installed', REMEDIES.get(name) or stack_remedy()
    return None


def clash() -> tuple[str, str] | None:
    """Distributions that overwrite each other's files, as (sentence, remedy)."""
    pairs = [' and '.join(found) for found in map(installed, PROVIDERS) if len(found) > 1]
    if not pairs:
        return None
    everything = ' '.join(name for import_name in PROVIDERS for name in installed(import_name))
    sentence = f'{", ".join(pairs)} are installed over each other'
    return sentence, f'pip uninstall -y {everything} && {FORK}'


def cap() -> tuple[str, str] | None:
    """OpenMMLab's MMSegmentation next to an mmcv that it refuses, as (sentence, remedy)."""
    for name in installed('mmcv') if installed('mmseg') == ['mmsegmentation'] else []:
        if at_least(version(name), OPENMMLAB_MMCV_MAX):
            sentence = (
                f'mmsegmentation {version("mmsegmentation")} refuses {name} {version(name)}: '
                f'it wants mmcv below {OPENMMLAB_MMCV_MAX}'
            )
            return sentence, f'pip uninstall -y {name} && {OPENMMLAB}'
    return None


def uncompiled() -> tuple[str, str] | None:
    """OpenMMLab's MMSegmentation, which imports mmcv's compiled operators, without them, as (sentence, remedy)."""
    if installed('mmseg') != ['mmsegmentation'] or has_operators():
        return None
    names = installed('mmcv')
    sentence = (
        f'mmsegmentation needs the compiled operators of mmcv, and {" ".join(names) or "mmcv"} has none'
    )
    return sentence, f'pip uninstall -y {" ".join(names) or "mmcv"} && {OPENMMLAB}'


def has_operators() -> bool:
    """Whether mmcv has its compiled part."""
    spec = importlib.util.find_spec('mmcv')
    folders = spec.submodule_search_locations if spec else None
    return any(path.suffix != '.pyi' for folder in folders or () for path in Path(folder).glob('_ext.*'))


def old_open_clip() -> tuple[str, str] | None:
    """An open_clip older than what is supported, as (sentence, remedy)."""
    found = distribution_version('open_clip_torch')
    if found is None or at_least(found, OPEN_CLIP_MIN):
        return None
    return f'open_clip_torch {found} is older than {OPEN_CLIP_MIN}', REMEDIES['open_clip']


def installed(import_name: str) -> list[str]:
    """The installed distributions that give one of MMSeg's import names."""
    return [name for name in PROVIDERS[import_name] if distribution_version(name)]


def stack_remedy() -> str:
    """The command that installs or completes MMSeg's stack: OpenMMLab's where a part of it is there, else the fork."""
    found = [name for import_name in PROVIDERS for name in installed(import_name)]
    theirs = found and not any(name.startswith('onedl-') for name in found)
    return OPENMMLAB if theirs else FORK


def distribution_version(name: str) -> str | None:
    """Version of an installed distribution, None where it isn't."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def at_least(found: str, wanted: str) -> bool:
    """Whether version `found` is `wanted` or newer, by its release numbers: '2.20.0+cpu' is at least '2.20'."""
    return _release(found) >= _release(wanted)


def _release(text: str) -> tuple[int, ...]:
    numbers = re.match(r'\d+(\.\d+)*', text)
    parts = [int(part) for part in numbers.group().split('.')] if numbers else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def cache_folder() -> Path:
    """Folder of what may be computed again: $MMSEG_CLIPSURGERY_CACHE, else mmseg_clipsurgery in the user's cache.

    Raises:
        FileNotFoundError: the user has no home folder and the variable is not set.
    """
    named = os.environ.get(CACHE_VARIABLE)
    base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    folder = Path(named) if named else Path(base, 'mmseg_clipsurgery')
    try:
        return folder.expanduser()
    except RuntimeError as error:  # this user has no home, or ~name is no user
        raise FileNotFoundError(
            f'the cache folder {folder} has no home: set {CACHE_VARIABLE} to a folder that you may write to'
        ) from error


def _raise(problem: tuple[str, str] | None) -> None:
    if problem:
        sentence, remedy = problem
        raise ImportError(
            f'mmseg_clipsurgery: {sentence}; mend it with: {remedy} '
            '("python -m mmseg_clipsurgery doctor" checks everything)'
        )
