"""Cases of a parametrised test."""

from collections.abc import Collection, Iterable

import pytest


def slow_but(fast: Collection[str], names: Iterable[str]) -> list:
    """Each name as a case, slow where it is none of the fast ones: many cases of one kind take long together."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]
