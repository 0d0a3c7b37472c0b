"""Processes in which MMSeg's stack counts as not installed: importing mmengine, mmcv or mmseg raises, none is found.

run('import mmseg_clipsurgery')         a piece of Python
run_tests('tests/api')                  tests
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STACK = ('mmengine', 'mmcv', 'mmseg')
CODE = 'import sys, without_mmseg; without_mmseg.block()\n'


def block() -> None:
    """Make this process believe that the stack is not installed; before anything of it is imported."""
    sys.modules.update(dict.fromkeys(STACK))  # None: `import` raises, `find_spec` finds nothing


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python, the stack blocked."""
    return start('-c', CODE + code)


def run_tests(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with these arguments, the stack blocked."""
    return start('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-p', 'block_mmseg', *arguments)


def start(*command: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {name: value for name, value in os.environ.items() if not name.startswith('PYTEST_')}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**environment, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        check=False,
    )
