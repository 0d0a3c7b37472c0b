"""Own commands load nothing until they have parsed; everywhere else the package is ready once it is imported."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from environments import ROOT
from mmseg_clipsurgery.environment import commands

import pytest


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


@pytest.mark.parametrize(
    ('name', 'file', 'expected'),
    [
        ('__main__', None, False),
        ('__main__', '<stdin>', False),
        ('__main__', 'mmseg-clipsurgery', True),
        ('__mp_main__', 'mmseg-clipsurgery', False),
    ],
    ids=['python -c', 'standard input', 'console script', 'its worker, started afresh'],
)
def test_a_command_is_known_by_its_main_module(name, file, expected, monkeypatch):
    main = ModuleType(name)
    if file is not None:
        main.__file__ = file
    monkeypatch.setitem(sys.modules, '__main__', main)
    assert commands.running_command() is expected


SCRIPT = """
import multiprocessing, sys

def ready(_):
    import mmseg_clipsurgery
    return 'torchvision' in sys.modules

if __name__ == '__main__':
    import mmseg_clipsurgery
    print('torch' in sys.modules)
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        print(pool.map(ready, [0]))
    from mmseg_clipsurgery import SURGERIES, Surgery, config, load
    print(callable(load))
"""


@pytest.mark.slow
@pytest.mark.mmseg
def test_a_command_loads_when_it_is_asked_its_worker_at_once_and_neither_prints(tmp_path):
    script = tmp_path / 'mmseg-clipsurgery.py'  # a command by its name
    script.write_text(SCRIPT)
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.splitlines() == ['False', '[True]', 'True']


def test_an_unknown_name_is_an_attribute_error():
    import mmseg_clipsurgery

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mmseg_clipsurgery.nothing  # noqa: B018
