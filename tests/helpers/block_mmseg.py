"""A plugin of pytest (`-p block_mmseg`) that blocks MMSeg's stack before tests are collected.

Of tests/api only the fast tests are run: the slow ones repeat what they do at other sizes.
"""

import without_mmseg

import pytest

without_mmseg.block()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [
        item for item in items if 'api' not in item.path.parts or item.get_closest_marker('slow') is None
    ]
