"""Own commands load nothing until they have parsed; everywhere else the package is ready once it is imported."""

import os
import subprocess
import sys
from pathlib import Path

from environments import ROOT
from mmseg_clipsurgery.environment import commands

import pytest

READY = 'import mmseg_clipsurgery, sys; print("torchvision" in sys.modules)'


def python(*command: str, **options) -> list[str]:
    """Lines that a new process prints."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ('arguments', 'original', 'expected'),
    [
        (['-m', 'doctor'], ['python', '-m', 'mmseg_clipsurgery', 'doctor'], True),
        (['-m', '--help'], ['python', '-u', '-m', 'mmseg_clipsurgery.test', '--help'], True),
        (['-m', 'doctor', '-x'], ['python', '-Wignore', '-m', 'mmseg_clipsurgery', 'doctor', '-x'], True),
        (['-m', 'doctor'], ['python', '-mmmseg_clipsurgery', 'doctor'], True),
        (['-m'], ['python', '-um', 'mmseg_clipsurgery'], True),
        (['-m', 'doctor'], ['python', '-m', 'another_package', 'doctor'], False),
        (['-m'], ['python', '-m', 'another_mmseg_clipsurgery'], False),
        (['-m', 'mmseg_clipsurgery'], ['python', '-m', 'pytest', 'mmseg_clipsurgery'], False),
    ],
)
def test_modules_of_the_package_are_its_commands(arguments, original, expected):
    assert commands.is_own_module(arguments, original) is expected


@pytest.mark.parametrize(
    ('script', 'expected'),
    [
        (ROOT / 'tools' / 'test.py', True),
        (ROOT / 'mmseg_clipsurgery' / '.mim' / 'tools' / 'demo.py', True),
        (Path('/usr/bin/mmseg-clipsurgery'), True),
        (Path('/elsewhere/tools/test.py'), False),
        (ROOT / 'tests' / 'tools' / 'test_test.py', False),
        (Path('/usr/bin/pytest'), False),
    ],
)
def test_own_scripts_are_its_commands(script, expected):
    assert commands.is_own_script(script) is expected


def test_a_process_of_tests_is_no_command():
    assert not commands.running_command()


@pytest.mark.slow
@pytest.mark.parametrize('command', [['-c', READY], ['-']], ids=['code', 'standard input'])
def test_elsewhere_the_import_makes_all_ready(command):
    assert python(*command, input=READY) == ['True']


WORKER = """
import multiprocessing, sys

def ready(_):
    import mmseg_clipsurgery
    return 'torchvision' in sys.modules

if __name__ == '__main__':
    import mmseg_clipsurgery
    print('torchvision' in sys.modules)
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        print(pool.map(ready, [0]))
"""


@pytest.mark.slow
def test_a_worker_of_a_command_that_is_started_afresh_is_ready(tmp_path):
    script = tmp_path / 'mmseg-clipsurgery.py'  # a command by its name: nothing is loaded in the parent
    script.write_text(WORKER)
    assert python(str(script)) == ['False', '[True]']


LAZY = """
import sys
import mmseg_clipsurgery
before = 'torch' in sys.modules
from mmseg_clipsurgery import SURGERIES, Surgery, config, load
print(before, callable(load), 'mmseg' in sys.modules)
"""


@pytest.mark.slow
def test_public_names_are_there_in_a_command(tmp_path):
    script = tmp_path / 'mmseg-clipsurgery.py'
    script.write_text(LAZY)
    assert python(str(script))[0].startswith('False True')


def test_an_unknown_name_is_an_attribute_error():
    import mmseg_clipsurgery

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mmseg_clipsurgery.nothing  # noqa: B018
