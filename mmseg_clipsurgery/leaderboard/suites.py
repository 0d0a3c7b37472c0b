"""A grid of cells: what is there is left out, what shares a pass is run in one, what fails is named, the others go on.

Results of a pass (`passes`) are written at its end, so what is stopped loses the pass that it was at, and nothing that
was finished.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..environment.mistakes import sentence
from ..environment.paths import user_path
from ..protocols.settings import entry
from .cells import Cell, cells, check_kept, is_done, keep, run_config
from .completeness import figure_note
from .keys import Key, data_of, settings_key
from .own_data_sets import read_data_sets
from .passes import Configs, Results, groups, outcomes, run_together
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
    folders = named_folders(roots, partial(entry, 'data_sets'))
    planned: list[PlannedRun] = []
    data: dict[str, Any] = {}
    for cell in cells(methods, names, backbones):
        cfg = run_config(cell, options, folders.get(cell.data_set))
        if cell.data_set not in data:
            data[cell.data_set] = data_of(cfg)
        planned.append(PlannedRun(cell, cfg, Key(settings_key(cfg), data[cell.data_set])))
    return planned


def named_folders(given: Sequence[str], check: Callable[[str], object]) -> dict[str, str]:
    """Data set -> folder, from NAME=DIR.

    Args:
        given: each 'NAME=DIR'.
        check: refuses an unknown data set.

    Raises:
        ValueError: not of that form, or an unknown data set.
    """
    folders = {}
    for text in given:
        name, sign, folder = text.partition('=')
        if not sign or not folder:
            raise ValueError(
                f'got --data-root {text!r}; write NAME=DIR, such as voc21=data/VOCdevkit/VOC2012'
            )
        check(name)
        folders[name] = str(user_path(folder))
    return folders


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

    Raises:
        ValueError: a result of another cell is damaged, or of scenes that are no longer drawn.
    """
    check_kept(out, [run.cell for run in planned])
    missing: dict[str, dict[str, PlannedRun]] = {}
    for run in planned:
        if not again and is_done(run.cell, out, run.key):
            print(f'{run.cell}: there already', flush=True)
        else:
            missing.setdefault(run.cell.data_set, {})[run.cell.name] = run
    suite = Suite(out, work_dir, processes, imports, debug, sum(map(len, missing.values())))
    for runs in missing.values():
        for group in groups({name: run.cfg for name, run in runs.items()}, one_by_one):
            suite.run({name: runs[name] for name in group})
    return suite.failed


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

    def run(self, group: Mapping[str, PlannedRun]) -> None:
        """Run cells that share a pass, keep their results, name those that fail."""
        data_set = next(iter(group.values())).cell.data_set

        def run_some(cfgs: Configs) -> Mapping[str, Results]:
            protocol = entry('protocols', group[next(iter(cfgs))].cell.protocol)
            how = protocol['title'] if len(cfgs) == 1 else 'one pass'
            print(f'{", ".join(cfgs)} on {data_set}: {how}', flush=True)
            options = dict(preflight=data_set not in self._checked, imports=self.imports)
            found = run_together(cfgs, self.work_dir / data_set, self.processes, **options)
            self._checked.add(data_set)
            return found

        start = time.perf_counter()
        for name, found in outcomes({name: run.cfg for name, run in group.items()}, run_some, self.debug):
            if isinstance(found, Exception):
                self._fail(group[name], sentence(found) or type(found).__name__)
            else:
                seconds = f'{time.perf_counter() - start:.0f} s'
                self._keep(group[name], found, f'{seconds}, all of the pass' if len(group) > 1 else seconds)

    def _keep(self, run: PlannedRun, results: Mapping[str, Any], seconds: str) -> None:
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
        print(f'[{self.done}/{self.count}] {run.cell}: {said} ({seconds})', flush=True)

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
