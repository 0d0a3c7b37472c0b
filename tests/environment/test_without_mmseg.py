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


@pytest.mark.parametrize('tests', ['tests/api', 'tests/cli/test_photo_run.py', 'tests/tools/test_demo.py'])
def test_tests_pass_without_mmseg(tests):
    done = without_mmseg.run_tests(tests)
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


@pytest.mark.parametrize('name', COMMANDS)
def test_what_evaluates_asks_for_mmseg_in_one_sentence(name):
    module = MAINS.get(name, 'mmseg_clipsurgery.__main__')
    done = without_mmseg.run(f'from {module} import main; sys.exit(main({COMMANDS[name]}))')
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        'error: mmseg_clipsurgery: MMSegmentation is not installed, and this command needs it; '
    )
    assert 'mend it with: pip install ' in line
