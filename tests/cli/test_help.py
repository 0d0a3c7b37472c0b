"""`--help` of every command answers at once: nothing heavy is imported."""

import os
import resource
import subprocess
import sys

from cases import slow_but
from environments import ROOT
from mmseg_clipsurgery.__main__ import COMMANDS

import pytest

HEAVY = (
    'torch',
    'torchvision',
    'open_clip',
    'matplotlib',
    'cv2',
    'mmengine',
    'mmcv',
    'mmseg',
    'transformers',
    'gradio',
)
REFUSE = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {HEAVY}:
            raise RuntimeError(f'--help imports {{name}}')
sys.meta_path.insert(0, Refuse())
"""
CONSOLE_SCRIPT = 'import sys; from mmseg_clipsurgery.__main__ import main; sys.exit(main())\n'
TOOLS = sorted(path.name for path in (ROOT / 'tools').glob('*.py') if '__main__' in path.read_text())
HELPS = {
    'package': ['-m', 'mmseg_clipsurgery'],
    **{name: ['-m', 'mmseg_clipsurgery', name] for name in COMMANDS},
    'test module': ['-m', 'mmseg_clipsurgery.test'],
    **{f'tools/{name}': [f'tools/{name}'] for name in TOOLS},
}


@pytest.fixture
def refusing(tmp_path) -> dict[str, str]:
    """The environment of a process that refuses to import anything heavy."""
    (tmp_path / 'sitecustomize.py').write_text(REFUSE)
    return {**os.environ, 'PYTHONPATH': os.pathsep.join([str(tmp_path), str(ROOT)])}


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize('name', slow_but(['package', 'segment', 'tools/test.py'], HELPS))
def test_help_imports_nothing_heavy(refusing, name):
    done = run([*HELPS[name], '--help'], refusing)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('usage: ')


def test_help_of_the_console_script_imports_nothing_heavy(refusing, tmp_path):
    script = tmp_path / 'mmseg-clipsurgery'
    script.write_text(CONSOLE_SCRIPT)
    done = run([str(script), 'segment', '--help'], refusing)
    assert done.returncode == 0, done.stderr


def test_the_refusal_works(refusing):
    assert '--help imports torch' in run(['-c', 'import mmseg_clipsurgery'], refusing).stderr


def test_help_takes_half_a_second_at_most():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, '-m', 'mmseg_clipsurgery', '--help'], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 0.5
