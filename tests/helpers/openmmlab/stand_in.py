"""Stand-in for mmcv's compiled operators, so that mmsegmentation 1.2.2 imports next to mmcv-lite on a CPU.

mmsegmentation 1.2.2 imports `mmcv.ops` unguarded, which loads the extension `mmcv._ext` and asks it for functions by
name. This very file serves as that extension: it has every function one could ask for, and none that can be called.
Run as a script it copies itself there:

    python tests/openmmlab/stand_in.py
"""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def __getattr__(name: str) -> Callable[..., NoReturn]:
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*arguments: object, **options: object) -> NoReturn:
        raise RuntimeError(f'mmcv._ext.{name} is a stand-in of the tests; install a compiled mmcv to call it')

    return missing


def main() -> None:
    """Copy this file to `mmcv/_ext.py` of the running environment, unless a real extension is there."""
    spec = importlib.util.find_spec('mmcv')
    if spec is None or spec.origin is None:
        sys.exit('mmcv is not installed here: pip install --requirement requirements/openmmlab.txt')
    target = Path(spec.origin).parent / '_ext.py'
    extension = importlib.util.find_spec('mmcv._ext')
    if extension is not None and extension.origin != str(target):
        sys.exit(f'{extension.origin} is a real extension: no stand-in is needed')
    shutil.copyfile(__file__, target)
    print(f'stand-in for mmcv._ext: {target}')


if __name__ == '__main__':
    main()
