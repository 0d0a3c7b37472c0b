"""Constants of surgeries: numbers by name, and what decides whether a value is one.

A surgery that leaves a constant out has the released value, that of the rows of `surgery.SURGERIES`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .environment.numbers import check_number

# RF-CLIP's sink channels of OpenAI's ViT-B/16, and the width that they belong to.
VIT_B16_SINKS = (4, 162, 189, 326, 429, 474, 633, 713)
VIT_B16_WIDTH = 768


class Constants(Mapping[str, Any]):
    """Numbers by name, which nothing changes in place; lists become tuples. Equal to a dict of the same numbers."""

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()):
        self._values = {
            name: tuple(value) if isinstance(value, list | tuple) else value
            for name, value in dict(values).items()
        }

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


def completed(given: Mapping[str, Any], used: Iterable[str], released: Mapping[str, Any]) -> Constants:
    """All constants that a surgery uses: the given ones, else the released ones.

    Args:
        given: by name.
        used: names of those that the surgery's parts read.
        released: values of those that are not given; what is neither must be given.

    Raises:
        ValueError: a constant that nothing of the surgery reads, one that is missing, or a value of another form.
    """
    used = list(used)
    if unknown := [name for name in given if name not in used]:
        raise ValueError(
            f'unknown constant {unknown[0]!r}; this surgery reads {", ".join(used) or "no constants"}'
        )
    if missing := [name for name in used if name not in given and name not in released]:
        raise ValueError(f'the constant {missing[0]!r} is missing; add it to constants')
    for name, value in given.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, float):
                check_number(f'the constant {name!r}', number)
        if name in released and not same_form(value, released[name]):
            raise ValueError(f'the constant {name!r} must be like {released[name]!r}, got {value!r}')
    return Constants({name: given.get(name, released.get(name)) for name in used})


def same_form(value: Any, example: Any) -> bool:
    """A number for a number (a whole one for a whole one), two numbers for two, one or more for more."""
    if isinstance(example, tuple):
        alike = isinstance(value, tuple) and len(value) > 0 and (len(value) == 2 or len(example) != 2)
        return alike and all(same_form(one, example[0]) for one in value)
    kinds = int if isinstance(example, int) else int | float
    return isinstance(value, kinds) and not isinstance(value, bool)
