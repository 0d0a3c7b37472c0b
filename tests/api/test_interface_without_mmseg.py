"""The Python interface where MMSeg's stack is not installed: it works, and gives what it gives beside MMSeg."""

from pathlib import Path

import environments
import interface_results

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def environment(tmp_path_factory) -> Path:
    """All packages of this environment but mmengine, mmcv and mmseg."""
    return environments.make_environment(
        tmp_path_factory.mktemp('without') / 'venv', environments.MMSEG_STACK
    )


@pytest.mark.parametrize('name', ['mmengine', 'mmcv', 'mmseg'])
def test_the_stack_is_not_there(environment, name):
    code = f'import importlib.util\nassert importlib.util.find_spec("{name}") is None'
    assert environments.run(environment, '-c', code).returncode == 0


def test_every_task_gives_the_same_results(environment, tmp_path):
    path = tmp_path / 'results.npz'
    done = environments.run(environment, interface_results.__file__, str(path))
    assert done.returncode == 0, done.stderr
    expected = interface_results.arrays()
    with np.load(path) as found:
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert np.array_equal(found[name], value), name
