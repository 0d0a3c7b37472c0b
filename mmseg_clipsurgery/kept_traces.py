"""Which traces some surgeries need, and the keeping of them over one walk through CLIP's blocks.

Traces of surgeries with equal constants are one trace; what no surgery needs is not kept.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from torch import Tensor

from .attention import Projections
from .traces import TRACES, BlockView, Context, Trace, Traces

TraceKey = tuple[str, tuple]


class Part(Protocol):
    """A row of one of the tables that a surgery names: an affinity, a token map, ..."""

    @property
    def needs(self) -> tuple[str, ...]: ...

    @property
    def constants(self) -> tuple[str, ...]: ...


def closure(names: Iterable[str]) -> list[str]:
    """Names of traces with those that they need, each once, after what it needs.

    Raises:
        ValueError: a trace that no row provides.
    """
    found: dict[str, None] = {}
    for name in names:
        if name not in TRACES:
            raise ValueError(
                f'{name!r} is needed of earlier blocks, which nothing provides; add a row TRACES[{name!r}] (there are '
                f'{", ".join(TRACES)})'
            )
        found.update(dict.fromkeys([*closure(TRACES[name].needs), name]))
    return list(found)


def constants_of(parts: Iterable[Part], traces: Iterable[str]) -> list[str]:
    """Names of the constants that some parts and traces read, each once; `depth` where there is a number of a block."""
    rows = [TRACES[name] for name in traces]
    names = [name for part in (*parts, *rows) for name in part.constants]
    return list(dict.fromkeys([*names, *(['depth'] if any(row.blocks for row in rows) else [])]))


def block_numbers(traces: Iterable[str], constants: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The constants of some traces that are numbers of blocks: name -> one, or (first, last)."""
    names = [name for trace in traces for name in TRACES[trace].blocks]
    return {
        name: value if isinstance(value := constants[name], tuple) else (value,)
        for name in dict.fromkeys(names)
    }


def trace_key(name: str, constants: Mapping[str, Any]) -> TraceKey:
    """What tells one trace from another: its name and all constants that decide it."""
    used = constants_of([], closure([name]))
    return name, tuple((constant, constants[constant]) for constant in used if constant != 'depth')


class KeptTraces:
    """The traces of some surgeries over one walk through CLIP's blocks.

    Args:
        wanted: for each surgery (names of its traces, each after those that it needs; its constants).
        given: traces that the caller gives.
    """

    def __init__(self, wanted: Iterable[tuple[Iterable[str], Mapping[str, Any]]], given: Traces):
        self.kept: dict[TraceKey, Tensor] = {}
        self.rows: dict[TraceKey, tuple[Trace, Mapping[str, Any]]] = {}
        for names, constants in wanted:
            for name in names:
                key = trace_key(name, constants)
                self.rows[key] = (TRACES[name], constants)
                if name in given:
                    self.kept[key] = given[name]

    @property
    def to_the_end(self) -> bool:
        """Whether a trace needs CLIP's own path after the last block."""
        return any(trace.last for trace, _ in self.rows.values())

    def update(self, view: BlockView, last: bool = False) -> None:
        """Take from a block what is kept of it."""
        for key, (trace, constants) in self.rows.items():
            if trace.update and (trace.last or not last):
                value = trace.update(self.kept.get(key), view._replace(constants=constants))
                if value is not None:
                    self.kept[key] = value

    def derive(self, entering: Tensor, p: Projections) -> None:
        """Make the derived traces, as the last block is read; p: its projections of the tokens that enter it."""
        for key, (trace, constants) in self.rows.items():
            if trace.derive and key not in self.kept:
                traces = self.named(trace.needs, constants)
                self.kept[key] = trace.derive(Context(entering, p.grid, constants, traces, p.patches))

    def named(self, names: Iterable[str], constants: Mapping[str, Any]) -> dict[str, Tensor]:
        """Traces by name, as a surgery of these constants sees them; those that no block has left are missing."""
        keys = {name: trace_key(name, constants) for name in names}
        return {name: self.kept[key] for name, key in keys.items() if key in self.kept}
