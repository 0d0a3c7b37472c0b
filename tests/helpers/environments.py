"""Virtual environments that lack a piece or have one too many, made of links to the packages of this one."""

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MMSEG_STACK = ('mmseg', 'mmcv', 'mmengine', 'onedl', 'mmsegmentation')


def make_environment(folder: Path, without: tuple[str, ...], extra: dict[str, str] | None = None) -> Path:
    """A virtual environment with links to the packages of this one, but for those whose names begin with `without`.

    `extra` maps names of distributions to versions that pip shall believe to be installed.
    """
    venv.create(folder, with_pip=False)
    site = Path(
        sysconfig.get_path('purelib', scheme='venv', vars={'base': str(folder), 'platbase': str(folder)})
    )
    for entry in Path(sysconfig.get_path('purelib')).iterdir():
        if not entry.name.lower().startswith((*without, 'mmseg_clipsurgery', '__editable__', 'easy-install')):
            (site / entry.name).symlink_to(entry)
    for name, version in (extra or {}).items():
        metadata = site / f'{name.replace("-", "_")}-{version}.dist-info'
        metadata.mkdir()
        (metadata / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python of that environment, with the checkout importable and nothing else of this process."""
    python = folder / ('Scripts' if os.name == 'nt' else 'bin') / 'python'
    variables = {**os.environ, 'PYTHONPATH': str(ROOT), 'PYTHONDONTWRITEBYTECODE': '1'}
    return subprocess.run(
        [str(python), *arguments], capture_output=True, text=True, env=variables, cwd=folder, check=False
    )
