"""`python -m mmseg_clipsurgery doctor`: one line for each piece of the environment, and the command that mends it.

    ok       torch          2.13.0+cpu, no CUDA device
    note     torchvision    0.28.0+cu130, binary can't be loaded (...): its operators are declared by torchvision_shim
    BROKEN   mmseg          not installed
             mend it with:  pip install ...

A note is something to be known that needs no repair. Everything may be broken here, so each check imports what it looks
at and fails alone.
"""

import importlib
import importlib.util
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mmseg_clipsurgery.environment import stack as environment
from mmseg_clipsurgery.environment.command_line import CommandParser
from mmseg_clipsurgery.resources import RESOURCES

OK, NOTE, BROKEN = 'ok', 'note', 'BROKEN'
# What to ask pip for, where it isn't the import name. A torchvision is mended together with the torch that it must fit.
DISTRIBUTIONS = {
    'PIL': 'pillow',
    'cv2': 'opencv-python',
    'open_clip': 'open_clip_torch',
    'pkg_resources': '"setuptools<81"',
    'torchvision': 'torch torchvision',
    'yaml': 'pyyaml',
}
EMBEDDED_MODEL = RESOURCES / 'scenes'


class Finding(NamedTuple):
    """What a check found: its state, a few words, and the command that mends it where it is broken."""

    state: str
    words: str
    remedy: str = ''


def main(arguments: Sequence[str] = ()) -> int:
    """Print every finding; 1 if a piece is broken, else 0."""
    parser = CommandParser(
        prog='mmseg-clipsurgery doctor',
        description='Check each piece of the environment, one a line: ok, a note, or BROKEN with the command that '
        f'mends it. Checked are: {", ".join(CHECKS)}; and, if nothing is broken, the import of the package.',
        epilog='exit codes: 0 everything needed is there, 1 a piece is broken',
    )
    parser.parse_args(arguments)
    findings = {}
    for name, check in CHECKS.items():
        findings[name] = examine(name, check)
        print(line(name, findings[name]), flush=True)
    broken = [name for name, finding in findings.items() if finding.state == BROKEN]
    if not broken:
        findings[WHOLE] = examine(WHOLE, package)
        print(line(WHOLE, findings[WHOLE]))
        broken = [WHOLE] if findings[WHOLE].state == BROKEN else []
    print(f'broken: {", ".join(broken)}' if broken else 'everything needed is there')
    return 1 if broken else 0


def examine(name: str, check: Callable[[], Finding]) -> Finding:
    """What `check` finds; an exception from the depths of a broken package is a finding too."""
    try:
        return check()
    except Exception as error:
        return Finding(BROKEN, first_line(error), remedy(name, error))


def line(name: str, finding: Finding) -> str:
    """One finding as text, with its remedy on a second line."""
    text = f'{finding.state:8} {name:14} {finding.words}'
    return f'{text}\n{"":8} {"mend it with:":14} {finding.remedy}' if finding.remedy else text


def python() -> Finding:
    return Finding(OK, f'{platform.python_version()} at {sys.executable}')


def torch() -> Finding:
    module = importlib.import_module('torch')
    if not module.cuda.is_available():
        return Finding(OK, f'{module.__version__}, no CUDA device')
    devices = [module.cuda.get_device_name(index) for index in range(module.cuda.device_count())]
    return Finding(OK, f'{module.__version__}, CUDA {module.version.cuda}: {", ".join(devices)}')


def torchvision() -> Finding:
    shim = importlib.import_module('mmseg_clipsurgery.environment.torchvision_shim')
    problem = shim.binary_problem()
    shim.install()
    shim.require()
    version = importlib.import_module('torchvision').__version__
    if problem is None:
        return Finding(OK, f'{version}, binary loads')
    return Finding(NOTE, f"{version}, binary can't be loaded ({problem}); imported without its operators")


def open_clip() -> Finding:
    if problem := environment.old_open_clip():
        return Finding(BROKEN, *problem)
    importlib.import_module('open_clip')
    return Finding(OK, environment.distribution_version('open_clip_torch') or 'of unknown version')


def imported(name: str) -> Callable[[], Finding]:
    """A check that imports `name` and reads its version."""
    return lambda: Finding(OK, importlib.import_module(name).__version__)


def imported_of_stack(name: str) -> Callable[[], Finding]:
    """A check that imports one of MMSeg's three, where there is a stack, and says which distribution gave it."""

    def check() -> Finding:
        if not environment.mmseg_installed():
            return Finding(NOTE, 'not installed')
        version = importlib.import_module(name).__version__
        given_by = ' and '.join(environment.installed(name))
        return Finding(OK, f'{version} ({given_by})' if given_by else version)

    return check


def stack() -> Finding:
    """Which of the two MMSeg stacks this is, if any, and whether its distributions get along."""
    if not environment.mmseg_installed():
        return Finding(NOTE, f'none; for evaluation: {environment.stack_remedy()}')
    if problem := environment.clash() or environment.cap():
        return Finding(BROKEN, *problem)
    found = [name for import_name in environment.PROVIDERS for name in environment.installed(import_name)]
    if not found:
        return Finding(NOTE, 'no MMSeg distribution known to pip')
    forks = [name for name in found if name.startswith('onedl-')]
    if not forks:
        return Finding(OK, "OpenMMLab's")
    if forks == found:
        return Finding(OK, 'the maintained fork (onedl)')
    return Finding(NOTE, f'a mixture, not tested: {", ".join(found)}')


def mmcv_operators() -> Finding:
    if importlib.util.find_spec('mmcv') is None:
        return Finding(NOTE, 'no mmcv')
    if environment.has_operators():
        return Finding(OK, 'compiled')
    if problem := environment.uncompiled():
        return Finding(BROKEN, *problem)
    return Finding(NOTE, 'not compiled; not needed here')


def model() -> Finding:
    weights = sorted(EMBEDDED_MODEL.glob('*.safetensors'))
    if not weights:
        return Finding(BROKEN, f'no weights in {EMBEDDED_MODEL}', 'install mmseg_clipsurgery again')
    size = sum(path.stat().st_size for path in weights) / 1e6
    return Finding(OK, f'{", ".join(path.name for path in weights)}, {size:.1f} MB')


def cache() -> Finding:
    folder: Path | str = 'no folder'
    try:
        folder = environment.cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding(OK, f'{folder}, writable')
    except OSError as error:
        mend = f'export {environment.CACHE_VARIABLE}=FOLDER, a folder that you may write to'
        return Finding(
            NOTE, f'{folder}: {error.strerror or error}; words are embedded anew in every process', mend
        )


def optional(name: str, purpose: str) -> Callable[[], Finding]:
    """A check of a distribution that one purpose alone needs."""

    def check() -> Finding:
        version = environment.distribution_version(name)
        return (
            Finding(OK, version)
            if version
            else Finding(NOTE, f'not installed; only for {purpose}: pip install {name}')
        )

    return check


def package() -> Finding:
    """Import the package as a user does, in a process of its own."""
    command = [sys.executable, '-c', 'import mmseg_clipsurgery']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        registered = ', registered in MMSeg' if environment.mmseg_installed() else ''
        return Finding(OK, f'imported{registered}')
    last = (done.stderr.strip().splitlines() or ['no message'])[-1]
    return Finding(BROKEN, last, 'install mmseg_clipsurgery again')


def remedy(name: str, error: BaseException) -> str:
    """The command for a piece whose import ended with `error`: what it missed, or else the piece itself."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition('.')[0]
    if name in environment.PROVIDERS:
        known = environment.clash() or environment.cap() or environment.uncompiled()
        return known[1] if known else environment.stack_remedy()
    if importlib.util.find_spec(name) is None:
        return environment.REMEDIES.get(name, f'pip install {DISTRIBUTIONS.get(name, name)}')
    return f'pip install --force-reinstall {DISTRIBUTIONS.get(name, name)}'


def first_line(error: BaseException) -> str:
    """An exception as one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


WHOLE = 'package'
CHECKS: dict[str, Callable[[], Finding]] = {
    'python': python,
    'numpy': imported('numpy'),
    'torch': torch,
    'torchvision': torchvision,
    'open_clip': open_clip,
    'safetensors': imported('safetensors'),
    'PIL': imported('PIL'),
    'cv2': imported('cv2'),
    'matplotlib': imported('matplotlib'),
    'MMSeg stack': stack,
    'mmengine': imported_of_stack('mmengine'),
    'mmcv': imported_of_stack('mmcv'),
    'mmcv operators': mmcv_operators,
    'mmseg': imported_of_stack('mmseg'),
    'embedded model': model,
    'cache': cache,
    'transformers': optional('transformers', 'SAM'),
    'pycocotools': optional('pycocotools', '--format coco'),
    'supervision': optional('supervision', 'to_supervision()'),
    'gradio': optional('gradio', 'web'),
}
