"""What holds for every run of the tests."""

import gc
from collections.abc import Iterator
from importlib.util import find_spec
from time import process_time

import pytest

# Seconds of CPU of a test without fixtures: 25 times what a fast test may take, for first imports and slow machines.
FAR_TOO_LONG = 5.0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """The collector of garbage sleeps meanwhile and never looks at what imports left behind: that lives to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test that takes seconds of this process and is not marked slow is an error."""
    start = process_time()
    result = yield
    seconds = process_time() - start
    if seconds > FAR_TOO_LONG and item.get_closest_marker('slow') is None:
        pytest.fail(
            f'{seconds:.1f} s of CPU: make it cheaper, or mark it slow (CONTRIBUTING.md)', pytrace=False
        )
    return result


@pytest.fixture(scope='session', autouse=True)
def plain_configs() -> Iterator[None]:
    """MMEngine has yapf lay out a config four times a run, which takes 2 s: here its text stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        if find_spec('yapf') is not None:
            patch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, False))
        yield
