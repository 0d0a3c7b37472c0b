"""Run the tests that face open_clip with several of its releases.

    python tools/check_open_clip_versions.py [--versions 2.20.0 3.3.0] [pytest's arguments]

For each release an environment `.venv-open-clip/<release>` is made that holds open_clip alone and finds everything
else (torch, MMSegmentation, pytest) in the environment that runs this tool, so that only open_clip differs. What is
already installed is used as it is. Fetches from the package index; that is why the ordinary tests leave it out.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / '.venv-open-clip'
VERSIONS = ('2.20.0', '2.24.0', '2.32.0', '3.3.0')
TESTS = ('test_affinities.py', 'clip')


def main() -> int:
    """Exit status: 0 where the tests pass with every release."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--versions', nargs='+', default=VERSIONS, metavar='RELEASE')
    arguments, pytest_arguments = parser.parse_known_args()
    failed = [version for version in arguments.versions if run(make(version), pytest_arguments)]
    for version in arguments.versions:
        print(f'open_clip {version}: {"failed" if version in failed else "passed"}')
    return bool(failed)


def make(version: str) -> Path:
    """An environment with one release of open_clip; its interpreter."""
    folder = FOLDER / version
    python = folder / ('Scripts' if os.name == 'nt' else 'bin') / 'python'
    if not python.exists():
        venv.create(folder, symlinks=os.name != 'nt')
    own = Path(sysconfig.get_path('purelib', vars={'base': str(folder), 'platbase': str(folder)}))
    shared = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}
    lines = [f'import site; site.addsitedir({path!r})\n' for path in sorted(shared)]
    (own / 'everything_else.pth').write_text(''.join(lines))
    if not (own / f'open_clip_torch-{version}.dist-info').is_dir():
        target = ['--quiet', '--no-deps', '--upgrade', '--target', str(own)]
        subprocess.run(
            [sys.executable, '-m', 'pip', 'install', *target, f'open_clip_torch=={version}'], check=True
        )
    return python


def run(python: Path, pytest_arguments: list[str]) -> int:
    """Pytest's exit status."""
    tests = [f'tests/{name}' for name in TESTS]
    print(f'\n{python.relative_to(ROOT)}', flush=True)
    command = [str(python), '-m', 'pytest', '-p', 'no:cacheprovider', '-q', *tests, *pytest_arguments]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == '__main__':
    sys.exit(main())
