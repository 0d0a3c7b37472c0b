"""One input: its random numbers, a folder of its own, and the ways in which bytes and JSON get damaged."""

import copy
import math
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

MARK = 'executed'  # name of the file that code of an input leaves behind
# What stands where a number, a name or a list should, in JSON and in Python.
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        10**30,
        0.5,
        math.nan,
        math.inf,
        -math.inf,
        '',
        'x',
        'nan',
        '\0',
        '\ud800',
    ),
    *([], {}, [[]], [None], {'': None}, {'x': {'y': []}}, 'a' * 5000, '3', [3, 3], ['a', 1]),
]


class Wrong(Exception):
    """What was accepted is not what went in."""


class Lost(Exception):
    """Results are missing or other than those of a run that nobody disturbed."""


@dataclass
class Input:
    """What a trial is made of.

    Attributes:
        random: the only source of chance.
        folder: an empty folder of this input.
        label: what kind of input it became, for the records.
    """

    random: Random
    folder: Path
    label: str = ''

    def one_of(self, choices: dict[str, Any]) -> Any:
        """A value of the table; its name joins the label."""
        name = self.random.choice(list(choices))
        self.label += f' {name}'
        return choices[name]

    def kind(self, *functions: Callable[..., Any]) -> Callable[..., Any]:
        """One of several functions; its name joins the label."""
        chosen = self.random.choice(functions)
        self.label += f' {chosen.__name__}'
        return chosen

    def pick(self, *choices: Any) -> Any:
        """One of several values."""
        return self.random.choice(choices)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def numpy(self) -> np.random.Generator:
        return np.random.default_rng(self.random.getrandbits(64))

    @property
    def mark(self) -> Path:
        return self.folder / MARK


def require(condition: Any, text: str) -> None:
    """What an oracle asks for. Raises Wrong where it is not so."""
    if not condition:
        raise Wrong(text)


def damaged(data: bytes, random: Random) -> bytes:
    """Bytes after one or several accidents."""
    for _ in range(random.choice((1, 1, 1, 2, 8, 40))):
        data = random.choice(ACCIDENTS)(data, random, *sorted(random.randrange(len(data) + 1) for _ in '12'))
    return data


def flipped(data: bytes, random: Random, start: int, stop: int) -> bytes:
    """One bit is another one; early bytes, where headers are, as often as all others."""
    place = random.randrange(min(len(data), random.choice((64, len(data))))) if data else 0
    return (
        data[:place]
        + bytes(byte ^ 1 << random.randrange(8) for byte in data[place : place + 1])
        + data[place + 1 :]
    )


ACCIDENTS: list[Callable[[bytes, Random, int, int], bytes]] = [
    *[flipped] * 4,
    lambda data, random, start, stop: data[:start],
    lambda data, random, start, stop: data[stop:],
    lambda data, random, start, stop: data[:start] + data[stop:],
    lambda data, random, start, stop: (
        data[:start] + bytes(min(stop - start, 999)) + data[min(stop, start + 999) :]
    ),
    lambda data, random, start, stop: data[:start] + random.randbytes(9) + data[start:],
    lambda data, random, start, stop: data[:stop] + data[start:stop][:9999] + data[stop:],
    lambda data, random, start, stop: data + random.randbytes(random.randrange(1, 99)),
]


def altered(value: Any, random: Random) -> Any:
    """A copy of a JSON value with something else at one place, or something missing or added."""
    value = copy.deepcopy(value)
    places = list(places_of(value))
    where, key = random.choice(places)
    action = random.random()
    if action < 0.2:
        del where[key]
    elif action < 0.3 and isinstance(where, dict):
        where[random.choice(['unknown', '', 'name', 'trust_remote_code', 'auto_map'])] = random.choice(ODD)
    else:
        where[key] = copy.deepcopy(random.choice(ODD))
    return value


def places_of(value: Any):
    """(container, key) of everything inside a JSON value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places_of(value[key])


def quietly(command: Callable[[list[str]], Any], *arguments: Any) -> tuple[int, str]:
    """A command in this process: its exit code, and what it printed. Exceptions pass, as a traceback would."""
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            code = command([str(argument) for argument in arguments]) or 0
        except SystemExit as error:  # of argparse
            code = error.code if isinstance(error.code, int) else 1
    return code, said.getvalue()
