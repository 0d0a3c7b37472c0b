"""Whether this process is one of the package's own commands, which parse first and import afterwards.

    python -m mmseg_clipsurgery COMMAND     python -m mmseg_clipsurgery.test     mmseg-clipsurgery COMMAND
    python tools/test.py and its neighbours, in a checkout or in the `.mim/tools` of an installed wheel

Everywhere else (Python, pytest, `custom_imports`, a worker of a data loader that is started afresh) `import
mmseg_clipsurgery` loads everything at once, so that torchvision is made importable before `mmseg.apis` asks for it.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..resources import PACKAGE

MODULE = re.compile(
    r'(-\w*m)?mmseg_clipsurgery(\.\w+)*'
)  # '-mNAME' where the option is written without a blank
CONSOLE_SCRIPT = 'mmseg-clipsurgery'


def running_command() -> bool:
    """Whether the process was started as a command of this package."""
    if sys.argv[:1] == ['-m']:  # as long as `python -m` imports the package of its module
        return is_own_module(sys.argv, sys.orig_argv)
    main = sys.modules.get('__main__')
    if main is None or main.__name__ != '__main__':  # a worker of `multiprocessing`: '__mp_main__'
        return False
    script = getattr(main, '__file__', None)
    return script is not None and is_own_script(Path(script))


def is_own_module(arguments: Sequence[str], original: Sequence[str]) -> bool:
    """Whether `python -m` runs a module of this package.

    Args:
        arguments: `sys.argv`, ['-m', *the command's own arguments].
        original: `sys.orig_argv`, which ends in the module and those same arguments.
    """
    return MODULE.fullmatch(original[-len(arguments)]) is not None


def is_own_script(script: Path) -> bool:
    """Whether a script is the console script or lies in the package's own tools."""
    folder = script.resolve().parent
    checkout = (PACKAGE.parent / 'setup.py').is_file() and folder == PACKAGE.parent / 'tools'
    return script.stem == CONSOLE_SCRIPT or checkout or folder == PACKAGE / '.mim' / 'tools'
