"""The store of answers: bounded in bytes, the one not asked for goes first, shared by threads."""

from concurrent.futures import ThreadPoolExecutor

from mmseg_clipsurgery.web.store import Store, size_of

import numpy as np


def array(value: int) -> np.ndarray:
    return np.full(10, value, np.uint8)


def test_what_was_not_asked_for_goes_first():
    store = Store(30)
    for key in range(3):
        store.put(key, array(key))
    assert store.get(0)[0] == 0
    store.put(3, array(3))
    assert [key for key in range(4) if store.get(key) is not None] == [0, 2, 3]
    assert store.bytes == 30


def test_what_is_too_large_is_not_kept():
    store = Store(9)
    assert store.get_or('key', lambda: array(1))[0] == 1
    assert store.get('key') is None
    assert store.bytes == 0


def test_a_value_is_made_once():
    made = []
    store = Store(100)
    for _ in range(3):
        store.get_or('key', lambda: made.append(1) or array(1))
    assert len(made) == 1


def test_arrays_of_an_object_count():
    class Both:
        def __init__(self):
            self.one, self.two, self.name = array(1), array(2), 'x'

    assert size_of(Both()) == 20


def test_threads_get_their_own_values():
    store = Store(50)

    def ask(number: int) -> bool:
        return all(store.get_or(k, lambda k=k: array(k))[0] == k for k in range(number, number + 8))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(50)))
    assert store.bytes <= 50
