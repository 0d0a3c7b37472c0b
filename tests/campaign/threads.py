"""Eight threads that ask one model at the same time, 100 calls each in an input, with different words.

Oracle: every answer is the one that the same question gave alone.
"""

import threading
from pathlib import Path
from typing import Any

import photos
from campaign.inputs import Input, require
from mmseg_clipsurgery.environment.files import atomic_write

import numpy as np

THREADS, CALLS, LISTS = 8, 100, 90  # more lists of words than the encoder keeps
LIMIT = 600


def prepare() -> tuple[Any, list[list[str]], list[np.ndarray]]:
    """A model, lists of words, and their answers, given one after the other by another model."""
    letters = 'abcdefghij'
    lists = [[f'{one} {number}' for one in letters[: 2 + number % 5]] for number in range(LISTS)]
    alone = photos.model()
    return photos.model(), lists, [ask(alone, words, number) for number, words in enumerate(lists)]


def ask(model: Any, words: list[str], number: int) -> np.ndarray:
    """One question; which method depends on the number."""
    photo = photos.photo(14, 12 + number % 3, number % 4)
    if number % 3 == 0:
        return model.heatmaps(photo, words).similarity
    return model.segment(photo, words).labels if number % 3 == 1 else model.recognise(photo, words).scores


def trial(prepared: Any, given: Input) -> None:
    model, lists, answers = prepared
    faults: list[BaseException | str] = []
    orders = [[given.random.randrange(LISTS) for _ in range(CALLS)] for _ in range(THREADS)]

    def work(thread: int) -> None:
        try:
            for number in orders[thread]:
                if not np.array_equal(ask(model, lists[number], number), answers[number]):
                    faults.append(f'another answer to list {number}')
            for _ in range(20):
                atomic_write(given.folder / 'shared', lambda path: path.write_text(f'{thread}' * 5000))
        except BaseException as error:
            faults.append(error)

    run_all(work)
    for fault in faults:
        if isinstance(fault, BaseException):
            raise RuntimeError('an error in a thread') from fault
    require(not faults, str(faults[:1]))
    text = Path(given.folder / 'shared').read_text()
    require(len(text) == 5000 and len(set(text)) == 1, 'a file that two threads wrote')
    require(len(list(given.folder.iterdir())) == 1, 'temporary files are left behind')


def run_all(work: Any) -> None:
    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
