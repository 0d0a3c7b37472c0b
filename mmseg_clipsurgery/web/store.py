"""Values under keys, up to a number of bytes; the one that was not asked for the longest time goes first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np


class Store:
    """A store that threads share.

    Args:
        most_bytes: of arrays that are kept in all; a value that exceeds it alone is not kept.
    """

    def __init__(self, most_bytes: int):
        self.most_bytes, self.bytes = most_bytes, 0
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any:
        """The value under a key; None where there is none."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value; others may have to go."""
        size = size_of(value)
        with self._lock:
            if key in self._kept or size > self.most_bytes:
                return
            self._kept[key] = value
            self.bytes += size
            while self.bytes > self.most_bytes:
                self.bytes -= size_of(self._kept.popitem(last=False)[1])

    def get_or(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value under a key, made where there is none."""
        value = self.get(key)
        if value is None:
            value = make()
            self.put(key, value)
        return value


def size_of(value: Any) -> int:
    """Bytes of an array, or of the arrays that an object has."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    return sum(part.nbytes for part in vars(value).values() if isinstance(part, np.ndarray))
