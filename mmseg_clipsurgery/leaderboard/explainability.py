"""Who explains best: explainers x data sets, judged by the panel of metrics of their maps.

A cell is one row of `EXPLAINERS` on one data set: an evaluation of `configs/explain/clipsurgery_<data set>.py`, whose
class maps are the explainer's. Its result is one JSON file, `<data set>/<explainer>.json`: what `results.json` of its
run holds, without paths of the machine, and

    "run": {"explainer": .., "data_set": .., "settings": .., "data": {..}}     settings and data: its key (see `keys`)
    "cost": operations for three texts in units of a pass of the tower, see `explainers.cost`

A file with the key of its cell today is done; any other is run again. Cells of a data set share one pass over the
images (`passes`), at the end of which their results are kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import MODELS

from ..compatibility import reads_guide
from ..environment.files import read_json
from ..environment.mistakes import sentence
from ..evaluation.configs import set_data_root
from ..evaluation.results import write_results
from ..explainers.cost import cost
from ..explainers.explainer import Explainer
from ..explainers.table import explainer_named, of_surgery
from ..protocols.settings import entries, method_settings
from ..surgery import Surgery
from .cells import shared_protocol
from .completeness import images_note
from .explain_data_sets import config_of, name_of
from .explain_tables import leading, stated
from .keys import Key, data_of, settings_key
from .passes import groups, outcomes, run_together
from .suites import named_folders


@dataclass(frozen=True)
class Run:
    """A cell, the config of its run, and the key of its settings and data."""

    explainer: str
    data_set: str
    cfg: Config
    key: Key

    @property
    def name(self) -> str:
        """The stem of its files: 'clip_surgery-released'."""
        return self.explainer.replace(':', '-')

    def __str__(self) -> str:
        return f'{self.explainer} on {self.data_set}'

    def path(self, folder: Path) -> Path:
        """Its result below the folder of all results."""
        return folder / self.data_set / f'{self.name}.json'

    def is_done(self, folder: Path) -> bool:
        """Whether its result is there and of today's settings and data, which is printed."""
        try:
            kept = read_json(self.path(folder))['run']
            done = kept['explainer'] == self.explainer and self.key.agrees(kept)
        except (OSError, ValueError, KeyError, TypeError):  # a damaged one is run again
            done = False
        if done:
            print(f'{self}: there already', flush=True)
        return done

    def keep(self, folder: Path, results: Mapping[str, Any], passes: float | None) -> None:
        """Write its result, and print its figure; passes: its cost.

        Raises:
            ValueError: it has no figure that leads.
        """
        lead, note = leading(results['metrics']), images_note(results)
        known = dict(explainer=self.explainer, data_set=self.data_set, **self.key.stated())
        written = {'run': known, 'cost': passes, **results, 'protocol': shared_protocol(results)}
        write_results(self.path(folder), written)
        figure = stated(results['metrics'][lead], 2) or 'of no pair'
        print(f'{self}: {lead} {figure}' + (f' ({note})' if note else ''), flush=True)


def plan(
    explainers: Sequence[str],
    given: Sequence[str],
    roots: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> list[Run]:
    """The runs of a grid, data set by data set.

    Args:
        explainers: names of `EXPLAINERS`.
        given: names of data sets, or config files of the user's own.
        roots: folders of data sets, each 'NAME=DIR'.
        options: changes of every config, by dotted key.

    Raises:
        ValueError, FileNotFoundError: an unknown name, or a file that can't be used.
    """
    configs = {name_of(one): config_of(one, options) for one in given}
    folders = named_folders(roots, partial(check_asked, configs))
    runs = []
    for data_set, cfg in configs.items():
        if data_set in folders:
            set_data_root(cfg, folders[data_set])
        data = data_of(cfg)
        for explainer in dict.fromkeys(explainers):
            own = run_config(explainer, data_set, cfg)
            runs.append(Run(explainer, data_set, own, Key(settings_key(own), data)))
    return runs


def check_asked(names: Iterable[str], name: str) -> None:
    """Refuse a folder for a data set that is not run. Raises ValueError."""
    if name not in names:
        raise ValueError(
            f'got a folder for the data set {name!r}, which is not run; run are: {", ".join(names)}'
        )


def run_config(explainer: str, data_set: str, cfg: Config) -> Config:
    """The config of one run; `cfg`, that of the data set, is not changed.

    Raises:
        ValueError: an unknown explainer.
    """
    row, made = explainer_on(explainer, data_set), deepcopy(cfg)
    surgery = row.surgery
    if surgery is None or surgery == explainer_named(explainer).surgery:
        made.model.backbone.surgery, made.model.decode_head.similarity = 'clip', 'cosine'
        made.model.test_cfg.explainer = explainer
    else:  # the same maps: similarity under the backbone's own surgery
        made.model.backbone.surgery, made.model.decode_head.similarity = surgery.as_dict(), row.similarity
    method = explainer.partition(':')[0]
    if surgery is not None and reads_guide(surgery) and method in entries('methods'):
        made.model.guide = method_settings(method, data_set)['guide']
    return made


def explainer_on(name: str, data_set: str) -> Explainer:
    """The row of a name; of a surgery with sink channels, those that its settings state for a data set's own tower.

    Raises:
        ValueError: an unknown explainer.
    """
    row, method = explainer_named(name), name.partition(':')[0]
    own = method_settings(method, data_set)['surgery'] if method in entries('methods') else {}
    if row.similarity is None or 'sinks' not in own.get('constants', {}):
        return row
    return of_surgery(method, Surgery.read(own), row.similarity)


def run_suite(
    planned: Sequence[Run],
    out: Path,
    work_dir: Path,
    processes: int = 0,
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
        imports: own files, for processes that are started.
        debug: let the error of a run through.
        one_by_one: a run for each cell, none of which share a pass.
    """
    missing: dict[str, dict[str, Run]] = {}
    for run in planned:
        if not run.is_done(out):
            missing.setdefault(run.data_set, {})[run.name] = run
    failed = []
    for data_set, runs in missing.items():
        tower = None
        run_some = partial(run_together, folder=work_dir / data_set, processes=processes, imports=imports)
        for group in groups({name: run.cfg for name, run in runs.items()}, one_by_one):
            for name, found in outcomes(group, run_some, debug):
                try:
                    if isinstance(found, Exception):
                        raise found
                    tower = tower or MODELS.build(runs[name].cfg.model.backbone)
                    runs[name].keep(out, found, cost_on(tower, explainer_on(runs[name].explainer, data_set)))
                except Exception as error:  # as in `outcomes`: the others go on
                    if debug:
                        raise
                    failed.append(f'{runs[name]}: {sentence(error) or type(error).__name__}')
    return failed


def cost_on(tower: Any, explainer: Explainer) -> float | None:
    """What an explainer costs on a tower; None where it reads a second tower."""
    if explainer.surgery is not None and reads_guide(explainer.surgery):
        return None
    return round(cost(explainer, tower), 3)
