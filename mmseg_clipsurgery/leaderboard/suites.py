"""A grid of cells run one after the other: what is there is left out, what fails is named and the others go on."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..environment.mistakes import sentence
from ..evaluation.runner import evaluate
from ..protocols.settings import entry
from .cells import Cell, cells, is_done, keep, run_config, settings_key
from .own_data_sets import read_data_sets
from .processes import evaluate_in_processes


@dataclass(frozen=True)
class PlannedRun:
    """A cell, the config of its run, and the key of its settings."""

    cell: Cell
    cfg: Config
    key: str


def plan(
    methods: Sequence[str],
    data_sets: Sequence[str],
    backbones: Sequence[str] = ('',),
    options: Mapping[str, Any] | None = None,
    roots: Sequence[str] = (),
) -> list[PlannedRun]:
    """The runs of a grid.

    Args:
        methods: names, or 'METHOD:PROTOCOL'.
        data_sets: names, or config files of the user's own data sets.
        backbones: as `Cell.backbone`.
        options: changes of every config, by dotted key.
        roots: folders of data sets, each 'NAME=DIR'.

    Raises:
        ValueError, FileNotFoundError: an unknown name, or a file that can't be used.
    """
    names = read_data_sets(data_sets)
    folders = data_roots(roots)
    planned = []
    for cell in cells(methods, names, backbones):
        cfg = run_config(cell, options, folders.get(cell.data_set))
        planned.append(PlannedRun(cell, cfg, settings_key(cfg)))
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
    """
    failed, checked = [], set()  # of a data set that was run on, files need not be looked at again
    for number, run in enumerate(planned, start=1):
        cell, heading = run.cell, f'[{number}/{len(planned)}] {run.cell}'
        if not again and is_done(cell, out, run.key):
            print(f'{heading}: there already', flush=True)
            continue
        print(f'{heading}: {entry("protocols", cell.protocol)["title"]}', flush=True)
        start = time.perf_counter()
        try:
            results = run_cell(run, work_dir, processes, cell.data_set not in checked, imports)
        except Exception as error:  # whatever it is, the other cells can still be run
            if debug:
                raise
            failed.append(f'{cell}: {sentence(error) or type(error).__name__}')
            print(f'{heading}: failed', file=sys.stderr, flush=True)
            continue
        checked.add(cell.data_set)
        keep(cell, out, run.key, results)
        seconds = time.perf_counter() - start
        print(f'{heading}: mIoU {results["metrics"]["mIoU"]:.2f} ({seconds:.0f} s)', flush=True)
    return failed


def run_cell(
    run: PlannedRun, work_dir: Path, processes: int, preflight: bool, imports: Sequence[str]
) -> dict[str, Any]:
    """The results of one run; what it prints goes to a file below `work_dir`.

    Raises:
        ValueError: the data set's own evaluator gives no mIoU; or as `evaluate`.
        RuntimeError: as `evaluate_in_processes`.
    """
    folder = work_dir / run.cell.data_set / run.cell.name
    if processes:
        results = evaluate_in_processes(run.cfg, folder, processes, preflight, imports)
    else:
        found = evaluate(run.cfg, work_dir=folder, preflight=preflight, quiet=True)
        assert found is not None
        results = found
    if 'mIoU' not in results['metrics']:
        raise ValueError(
            f'the evaluator of {run.cell.data_set} gives {", ".join(results["metrics"]) or "nothing"} and no mIoU: '
            'leave test_evaluator out'
        )
    return results
