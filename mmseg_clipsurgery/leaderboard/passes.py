"""Configs that share a pass over the images, run together, and halved where something fails.

Configs that see the same pixels, windows and words (`evaluation.variants.share_a_pass`) are one run: images are decoded
once, CLIP and the words are read once. The figures are those of one run after the other. A group in which something
fails is halved and run again, until what fails is alone; the others have their results.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..environment.mistakes import concerns_all, sentence
from ..evaluation.runner import evaluate
from ..evaluation.variants import combined, share_a_pass
from .processes import evaluate_in_processes

Configs = Mapping[str, Config]
Results = dict[str, Any]


def groups(cfgs: Configs, one_by_one: bool = False) -> list[dict[str, Config]]:
    """Configs by name -> those that share a pass, in the order of their first ones.

    Args:
        cfgs: of one data set.
        one_by_one: each is alone.
    """
    found: dict[str, dict[str, Config]] = {}
    for name, cfg in cfgs.items():
        found.setdefault(name if one_by_one else share_a_pass(cfg), {})[name] = cfg
    return list(found.values())


def run_together(cfgs: Configs, folder: Path, processes: int = 0, **options: Any) -> dict[str, Results]:
    """Results of configs that share a pass, by name; what the run prints goes to a file below `folder`.

    Args:
        cfgs: one, or several that share a pass.
        folder: for a folder of this run's logs.
        processes: 0: in this process; else in so many of its own.
        options: `preflight`, and `imports` for processes that are started.

    Raises:
        Exception: as `evaluate` or `evaluate_in_processes`; none of them has results then.
    """
    first, *others = cfgs
    cfg, work_dir = (
        (combined(cfgs), folder / f'{first}+{len(others)}') if others else (cfgs[first], folder / first)
    )
    if processes:
        found = evaluate_in_processes(cfg, work_dir, processes, **options)
    else:
        options.pop('imports', None)  # this process has them
        found = evaluate(cfg, work_dir=work_dir, quiet=True, **options) or {}
    return found if others else {first: found}


def outcomes(
    cfgs: Configs, run: Callable[[Configs], Mapping[str, Results]], debug: bool = False
) -> Iterator[tuple[str, Results | Exception]]:
    """Name and results of each config, or the error of one that fails when it is alone.

    Args:
        cfgs: that share a pass.
        run: what runs some of them; such as `run_together`.
        debug: let an error through.
    """
    try:
        found = run(cfgs)
    except Exception as error:  # whatever it is, the others can still be run
        if debug or concerns_all(error):
            raise
        names = list(cfgs)
        if len(names) == 1:
            yield names[0], error
            return
        reason = sentence(error) or type(error).__name__
        print(f'{", ".join(names)}: {reason}; once more in halves', file=sys.stderr, flush=True)
        middle = len(names) // 2
        for half in (names[:middle], names[middle:]):
            yield from outcomes({name: cfgs[name] for name in half}, run)
        return
    yield from found.items()
