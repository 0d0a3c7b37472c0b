"""A grid of cells: what is there is left out, what shares a pass is run in one, what fails is named, the others go on.

Cells of a data set that see the same pixels, windows and words (`evaluation.variants.share_a_pass`) are one run: images
are decoded once, CLIP and the words are read once. The figures are those of one run after the other. Results of a
group are written at its end, so what is stopped loses the group that it was at, and nothing that was finished. A group
in which something fails is halved and run again, until what fails is alone and is named.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..environment.mistakes import sentence
from ..evaluation.runner import evaluate
from ..evaluation.variants import combined, share_a_pass
from ..protocols.settings import entry
from .cells import Cell, cells, is_done, keep, run_config
from .completeness import figure_note
from .keys import Key, data_of, settings_key
from .own_data_sets import read_data_sets
from .processes import evaluate_in_processes
from .published import verdict
from .tables import own_rows


@dataclass(frozen=True)
class PlannedRun:
    """A cell, the config of its run, and the key of its settings and data."""

    cell: Cell
    cfg: Config
    key: Key


def plan(
    methods: Sequence[str],
    data_sets: Sequence[str],
    backbones: Sequence[str] = ('',),
    options: Mapping[str, Any] | None = None,
    roots: Sequence[str] = (),
) -> list[PlannedRun]:
    """The runs of a grid.

    Args:
        methods: names, or 'METHOD:PROTOCOL'; none: the table's.
        data_sets: names, or config files of the user's own data sets.
        backbones: as `Cell.backbone`.
        options: changes of every config, by dotted key.
        roots: folders of data sets, each 'NAME=DIR'.

    Raises:
        ValueError, FileNotFoundError: an unknown name, or a file that can't be used.
    """
    names = read_data_sets(data_sets)
    folders = data_roots(roots)
    planned: list[PlannedRun] = []
    data: dict[str, Any] = {}
    for cell in cells(methods, names, backbones):
        cfg = run_config(cell, options, folders.get(cell.data_set))
        if cell.data_set not in data:
            data[cell.data_set] = data_of(cfg)
        planned.append(PlannedRun(cell, cfg, Key(settings_key(cfg), data[cell.data_set])))
    return planned


def data_roots(given: Sequence[str]) -> dict[str, str]:
    """Data set -> folder, from NAME=DIR.

    Raises:
        ValueError: not of that form, or an unknown data set.
    """
    roots = {}
    for text in given:
        name, sign, folder = text.partition('=')
        if not sign:
            raise ValueError(
                f'got --data-root {text!r}; write NAME=DIR, such as voc21=data/VOCdevkit/VOC2012'
            )
        entry('data_sets', name)
        roots[name] = folder
    return roots


def run_suite(
    planned: Sequence[PlannedRun],
    out: Path,
    work_dir: Path,
    processes: int = 0,
    again: bool = False,
    imports: Sequence[str] = (),
    debug: bool = False,
    one_by_one: bool = False,
) -> list[str]:
    """Run what has no result yet; a line for each run that failed.

    Args:
        planned: what `plan` returned.
        out: folder of results.
        work_dir: folder of logs.
        processes: 0: in this process; else each run in so many of its own.
        again: also run what has a result.
        imports: own files, for processes that are started.
        debug: let the error of a run through.
        one_by_one: a run for each cell, none of which share a pass.
    """
    missing = []
    for run in planned:
        if not again and is_done(run.cell, out, run.key):
            print(f'{run.cell}: there already', flush=True)
        else:
            missing.append(run)
    suite = Suite(out, work_dir, processes, imports, debug, len(missing))
    for group in groups(missing, one_by_one):
        suite.run(group)
    return suite.failed


def groups(runs: Sequence[PlannedRun], one_by_one: bool = False) -> list[list[PlannedRun]]:
    """Runs that share a pass, in the order of their first ones."""
    found: dict[Any, list[PlannedRun]] = {}
    for number, run in enumerate(runs):
        shared = number if one_by_one else (run.cell.data_set, share_a_pass(run.cfg))
        found.setdefault(shared, []).append(run)
    return list(found.values())


class Suite:
    """Groups of runs on their way: what failed, and whose files were looked at.

    Args:
        out, work_dir, processes, imports, debug: as `run_suite`.
        count: how many runs there are in all.
    """

    def __init__(
        self, out: Path, work_dir: Path, processes: int, imports: Sequence[str], debug: bool, count: int
    ) -> None:
        self.out, self.work_dir, self.processes = out, work_dir, processes
        self.imports, self.debug, self.count = imports, debug, count
        self.failed: list[str] = []
        self.done = 0
        self._checked: set[str] = set()  # data sets whose files need not be looked at again

    def run(self, group: Sequence[PlannedRun]) -> None:
        """Run a group and keep its results; where it fails, its halves, until what fails is alone and named."""
        cell = group[0].cell
        names = ', '.join(run.cell.name for run in group)
        title = entry('protocols', cell.protocol)['title']
        print(f'{names} on {cell.data_set}: {title if len(group) == 1 else "one pass"}', flush=True)
        start = time.perf_counter()
        try:
            found = run_group(
                group, self.work_dir, self.processes, cell.data_set not in self._checked, self.imports
            )
        except Exception as error:  # whatever it is, the other cells can still be run
            if self.debug:
                raise
            self._run_halves(group, error)
            return
        self._checked.add(cell.data_set)
        for run, results in zip(group, found, strict=True):
            self._keep(run, results, time.perf_counter() - start)

    def _run_halves(self, group: Sequence[PlannedRun], error: Exception) -> None:
        """What is left to do after a group failed."""
        if len(group) == 1:
            self._fail(group[0], sentence(error) or type(error).__name__)
            return
        print(
            f'{group[0].cell.data_set}: something fails in this pass; in halves', file=sys.stderr, flush=True
        )
        middle = len(group) // 2
        self.run(group[:middle])
        self.run(group[middle:])

    def _keep(self, run: PlannedRun, results: Mapping[str, Any], seconds: float) -> None:
        """Write the result of a run, and print its figure."""
        if 'mIoU' not in results['metrics']:
            given = ', '.join(results['metrics']) or 'nothing'
            self._fail(
                run,
                f'the evaluator of {run.cell.data_set} gives {given} and no mIoU: leave test_evaluator out',
            )
            return
        keep(run.cell, self.out, run.key, results)
        self.done += 1
        said = figure_line(run.cell, results)
        print(f'[{self.done}/{self.count}] {run.cell}: {said} ({seconds:.0f} s)', flush=True)

    def _fail(self, run: PlannedRun, reason: str) -> None:
        self.done += 1
        self.failed.append(f'{run.cell}: {reason}')
        print(f'[{self.done}/{self.count}] {run.cell}: failed', file=sys.stderr, flush=True)


def figure_line(cell: Cell, results: Mapping[str, Any]) -> str:
    """The mIoU of a result in words: of which images it is where not of all, or beside the published figure."""
    said = f'mIoU {results["metrics"]["mIoU"]:.2f}'
    (row,) = own_rows([{'cell': vars(cell), **results}])
    compared = verdict(row, cell.data_set)
    if note := figure_note(results):
        said += f' ({note})'
    elif compared is not None:
        said += (
            f', published {compared.published} by: {compared.source}: {compared} (within {compared.spread})'
        )
    return said


def run_group(
    group: Sequence[PlannedRun], work_dir: Path, processes: int, preflight: bool, imports: Sequence[str]
) -> list[dict[str, Any]]:
    """The results of runs that share a pass, in their order; what it prints goes to a file below `work_dir`.

    Raises:
        Exception: as `evaluate` or `evaluate_in_processes`; none of them has results then.
    """
    names = [run.cell.name for run in group]
    folder = (
        work_dir
        / group[0].cell.data_set
        / '+'.join([names[0], *([f'{len(names) - 1}'] if names[1:] else [])])
    )
    cfg = group[0].cfg if len(group) == 1 else combined({run.cell.name: run.cfg for run in group})
    if processes:
        found = evaluate_in_processes(cfg, folder, processes, preflight, imports)
    else:
        found = evaluate(cfg, work_dir=folder, preflight=preflight, quiet=True) or {}
    return [found] if len(group) == 1 else [found[name] for name in names]
