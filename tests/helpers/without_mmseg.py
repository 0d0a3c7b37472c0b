"""Processes in which MMSeg's stack counts as not installed: importing mmengine, mmcv or mmseg raises, none is found.

run('import mmseg_clipsurgery')         a piece of Python
run_tests('tests/api')                  tests
"""

import os
import subprocess
import sys
from pathlib import Path

STACK = ('mmengine', 'mmcv', 'mmseg')
ROOT = Path(__file__).resolve().parents[2]
HELPERS = Path(__file__).parent


def block() -> None:
    """Make this process believe that the stack is not installed; before anything of it is imported."""
    sys.modules.update(dict.fromkeys(STACK))  # None: `import` raises, `find_spec` finds nothing


def run(code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python code with these arguments and environment variables, the stack blocked."""
    return start('-c', f'import without_mmseg; without_mmseg.block()\n{code}', *arguments, **variables)


def run_tests(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with these arguments, the stack blocked."""
    return start('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-p', 'block_mmseg', *arguments, **variables)


def start(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(HELPERS)])
    environment = {**os.environ, 'PYTHONPATH': path, **variables}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
