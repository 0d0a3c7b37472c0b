"""Numbers as a user writes them: NaN, infinity, booleans and strings where a number belongs are refused by name."""

import math
from numbers import Integral, Real
from typing import Any

FACTORS = 1e-30, 1e30  # what fp32, up to 3e38, can multiply by and stay finite and above 0


def check_number(name: str, value: Any, least: float = -math.inf, most: float = math.inf) -> None:
    """Refuse what is no finite number in [least, most].

    Args:
        name: of the setting, for the message.
        value: what was given.
        least, most: bounds, inclusive.

    Raises:
        ValueError: with the name, the bounds and what was got.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f'{name} must be a number, got {value!r}')
    if not math.isfinite(value) or not least <= float(value) <= most:
        raise ValueError(f'{name} must {within(least, most)}, got {value}')


def check_positive(name: str, value: Any) -> None:
    """Refuse what is no number above 0, or one that fp32 loses beside others. Raises ValueError as `check_number`."""
    check_number(name, value)
    if value <= 0:
        raise ValueError(f'{name} must be above 0, got {value}')
    check_number(name, value, *FACTORS)


def check_count(name: str, value: Any, least: int = 1, most: float = math.inf) -> None:
    """Refuse what is no whole number in [least, most]. Raises ValueError as `check_number`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f'{name} must be a whole number >= {least}, got {value!r}')
    if int(value) > most:
        raise ValueError(f'{name} must be a whole number from {least} to {most}, got {value}')


def check_switch(name: str, value: Any) -> None:
    """Refuse what is neither True nor False. Raises ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f'{name} must be True or False, got {value!r}')


def within(least: float, most: float) -> str:
    """Bounds in words."""
    if math.isfinite(least) and math.isfinite(most):
        return f'lie between {least:g} and {most:g}'
    if math.isfinite(least):
        return f'be {least:g} or more'
    return f'be {most:g} or less' if math.isfinite(most) else 'be finite'
