"""Distributions built from a copy of the checkout, so that a build leaves nothing in it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[2]
BUILT_FROM = ('mmseg_clipsurgery', 'configs', 'tools', 'tests', 'requirements')


def copy_to(folder: Path) -> Path:
    """Copy all that a distribution is built from; the folder."""
    for name in BUILT_FROM:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('.mim'))
    for path in ROOT.iterdir():
        if path.is_file() and path.name[0] != '.':
            shutil.copy2(path, folder)
    return folder


def build(source: Path, target: Path, *kinds: Literal['wheel', 'sdist']) -> None:
    """Build distributions of a copy of the checkout, as pip does, into another folder."""
    calls = '; '.join(f'b.build_{kind}({str(target)!r})' for kind in kinds)
    code = f'from setuptools import build_meta as b; {calls}'
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
