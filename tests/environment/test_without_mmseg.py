"""Where importing mmengine, mmcv or mmseg raises: Python interface, commands on photos and demo work as ever."""

import json

import interface_results
import without_mmseg

import numpy as np
import pytest

pytestmark = pytest.mark.slow
COMMANDS = {  # what evaluates -> its module, and arguments
    'check-dataset': ('mmseg_clipsurgery.__main__', ['check-dataset', 'voc']),
    'export': ('mmseg_clipsurgery.__main__', ['export', 'clipsurgery_scenes', 'out.pth']),
    'test': ('mmseg_clipsurgery.test', ['clipsurgery_scenes']),
    'leaderboard': ('mmseg_clipsurgery.cli.leaderboard', ['--data-sets', 'scenes']),
    'explain': ('mmseg_clipsurgery.cli.explain', []),
}
SEEN = """
import contextlib, importlib, importlib.util, io, json
import interface_results
import numpy as np
import mmseg_clipsurgery as package

seen = {{'found': [name for name in without_mmseg.STACK if importlib.util.find_spec(name)]}}
seen['not there'] = [name for name in package.__all__ if not hasattr(package, name)]
np.savez({arrays!r}, **interface_results.arrays())
seen['imported'] = [name for name in sys.modules if name.partition('.')[0] in without_mmseg.STACK]
for command, (module, arguments) in {commands!r}.items():
    with contextlib.redirect_stderr(io.StringIO()) as told:
        code = importlib.import_module(module).main(arguments)
    seen[command] = [code, told.getvalue()]
print(json.dumps(seen))
"""


@pytest.fixture(scope='module')
def arrays(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp('without') / 'arrays.npz')


@pytest.fixture(scope='module')
def seen(arrays) -> dict:
    """What a process without MMSeg sees."""
    done = without_mmseg.run(SEEN.format(arrays=arrays, commands=COMMANDS))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_package_is_imported_whole_and_registers_nothing(seen):
    assert seen['found'] == []
    assert seen['not there'] == []
    assert seen['imported'] == list(without_mmseg.STACK)  # the blocks themselves


def test_every_task_gives_the_same_results(seen, arrays):
    expected = interface_results.arrays()
    with np.load(arrays) as found:
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert np.array_equal(found[name], value), name


@pytest.mark.parametrize('command', COMMANDS)
def test_what_evaluates_asks_for_mmseg_in_one_sentence(command, seen):
    code, sentence = seen[command]
    assert code == 1
    assert sentence.count('\n') == 1
    assert sentence.startswith(
        'error: mmseg_clipsurgery: MMSegmentation is not installed, and this command needs it; '
    )
    assert 'mend it with: pip install ' in sentence


def test_tests_pass_without_mmseg():
    """Those of the interface that are fast; each task on a folder, and the demo."""
    done = without_mmseg.run_tests(
        'tests/api', 'tests/cli/test_photo_run.py::test_every_task_on_a_folder', 'tests/tools/test_demo.py'
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert ' passed' in done.stdout.splitlines()[-1]
