"""Where importing mmengine, mmcv or mmseg raises: Python interface, commands on photos and demo work as ever."""

import without_mmseg

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('name', without_mmseg.STACK)
def test_the_stack_is_blocked(name):
    done = without_mmseg.run(f'import {name}')
    assert f'ModuleNotFoundError: import of {name} halted' in done.stderr


def test_the_package_is_imported_and_registers_nothing():
    done = without_mmseg.run(
        'import mmseg_clipsurgery as package\n'
        'print(*(name for name in package.__all__ if not hasattr(package, name)))\n'
        'print(*(name for name in sys.modules if name.partition(".")[0] in without_mmseg.STACK))'
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['', ' '.join(without_mmseg.STACK)]


# The interface; each task on a folder, and the demo.
TESTS = {
    'interface': ['tests/api', '-m', 'not slow'],
    'commands': ['tests/cli/test_photo_run.py::test_every_task_on_a_folder', 'tests/tools/test_demo.py'],
}


@pytest.mark.parametrize('arguments', TESTS.values(), ids=TESTS.keys())
def test_tests_pass_without_mmseg(arguments):
    done = without_mmseg.run_tests(*arguments)
    assert done.returncode == 0, done.stdout[-4000:]
    assert ' passed' in done.stdout.splitlines()[-1]


COMMANDS = {
    'check-dataset': ['check-dataset', 'voc'],
    'export': ['export', 'clipsurgery_scenes', 'out.pth'],
    'test': ['clipsurgery_scenes'],
    'leaderboard': ['--data-sets', 'scenes'],
    'explain': [],
}
MAINS = {
    'test': 'mmseg_clipsurgery.test',
    'leaderboard': 'mmseg_clipsurgery.cli.leaderboard',
    'explain': 'mmseg_clipsurgery.cli.explain',
}


CALL_ALL = """
from importlib import import_module
for module, arguments in {calls!r}:
    print(import_module(module).main(arguments))
"""


def test_what_evaluates_asks_for_mmseg_in_one_sentence():
    calls = [(MAINS.get(name, 'mmseg_clipsurgery.__main__'), words) for name, words in COMMANDS.items()]
    done = without_mmseg.run(CALL_ALL.format(calls=calls))
    assert done.stdout.split() == ['1'] * len(COMMANDS), done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(COMMANDS)
    for line in lines:
        assert line.startswith(
            'error: mmseg_clipsurgery: MMSegmentation is not installed, and this command needs it; '
        )
        assert 'mend it with: pip install ' in line
