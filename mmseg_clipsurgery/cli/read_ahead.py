"""Work beside the main thread that never piles up, and photos put together that the tower takes at one size.

    photos -> read and decoded, in threads, in their order -> lists of one input size, at most a batch each

What waits is bounded in photos and in pixels, so a million photos take no more memory than a hundred.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

Item = TypeVar('Item')
Done = TypeVar('Done')

BATCH_PIXELS = 8 << 20  # of the photos of a batch together: each needs several label maps of its size
WAITING_PIXELS = 48 << 20  # of photos that wait for others of their size: 144 MiB
WAITING_BATCHES = 8  # as many photos wait as are in so many batches


class Decoded(Protocol):
    """A photo that was read."""

    @property
    def pixels(self) -> np.ndarray:
        """ "H W 3"."""
        ...


class Beside:
    """Threads beside the main one.

    Args:
        threads: how many; 0: the main thread does everything itself.
        ahead: pieces of work that are under way, or done and not yet taken, at most.
    """

    def __init__(self, threads: int, ahead: int):
        self.pool = ThreadPoolExecutor(threads) if threads else None
        self.ahead = max(ahead, threads)
        self.later: deque[tuple[Future, int]] = deque()

    def mapped(self, function: Callable[[Item], Done], items: Iterable[Item]) -> Iterator[Done]:
        """What a function makes of each item, in their order."""
        if self.pool is None:
            yield from map(function, items)
            return
        waiting: deque[Future] = deque()
        for item in items:
            waiting.append(self.pool.submit(function, item))
            if len(waiting) > self.ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def do(self, function: Callable[..., Done], *given: Any, pixels: int) -> Iterator[Done]:
        """Have a function called; what earlier calls gave, as far as they have to be done before more may wait.

        Args:
            function, *given: the call.
            pixels: of the photo that it keeps in memory.
        """
        if self.pool is None:
            yield function(*given)
            return
        self.later.append((self.pool.submit(function, *given), pixels))
        while len(self.later) > self.ahead or sum(size for _, size in self.later) > WAITING_PIXELS:
            yield self.later.popleft()[0].result()

    def rest(self) -> Iterator[Any]:
        """What the calls give that are left."""
        while self.later:
            yield self.later.popleft()[0].result()

    def end(self) -> None:
        """Wait for what is under way; nothing more is begun."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


class Threads(NamedTuple):
    """Those that read photos, and those that write results."""

    readers: Beside
    writers: Beside

    @classmethod
    @contextmanager
    def started(cls, reading: int, writing: int, ahead: int) -> Iterator['Threads']:
        """For a block, of which a failure too ends them; numbers of threads, and what may wait for each."""
        threads = cls(Beside(reading, ahead), Beside(writing, ahead))
        try:
            yield threads
        finally:
            for part in threads:
                part.end()


def batches(
    photos: Iterable['DecodedPhoto'], size_of: Callable[[tuple[int, int]], Hashable], most: int
) -> Iterator[list['DecodedPhoto']]:
    """Photos in lists of one input size, in the order in which the lists are full; at last those that are not.

    Args:
        photos: in their order.
        size_of: from a photo's (height, width) to the size at which the tower takes it.
        most: photos of a list.
    """
    groups: dict[Hashable, list[DecodedPhoto]] = {}
    waiting = pixels = 0
    for photo in photos:
        height, width = photo.pixels.shape[:2]
        size = size_of((height, width))
        groups.setdefault(size, []).append(photo)
        waiting, pixels = waiting + 1, pixels + height * width
        full = len(groups[size]) >= most or area(groups[size]) >= BATCH_PIXELS
        crowded = waiting > WAITING_BATCHES * most or pixels > WAITING_PIXELS
        if full or crowded:
            batch = groups.pop(size if full else next(iter(groups)))
            waiting, pixels = waiting - len(batch), pixels - area(batch)
            yield batch
    yield from groups.values()


def area(photos: Iterable[Decoded]) -> int:
    """Pixels of photos together."""
    return sum(photo.pixels.shape[0] * photo.pixels.shape[1] for photo in photos)


DecodedPhoto = TypeVar('DecodedPhoto', bound=Decoded)
