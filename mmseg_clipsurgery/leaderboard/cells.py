"""The grid of a leaderboard: which cells there are, the config of each, and where its result is kept.

A cell is a method on a data set, by a protocol, with a backbone. Its result is one JSON file, `<data set>/<cell>.json`:
what `results.json` of its run holds, without paths of the machine, and

    "cell": {"method": .., "data_set": .., "protocol": .., "backbone": .., "settings": .., "data": {..}}

`settings` and `data` are its key (see `keys`). A file with the key of its cell today is done; any other is run again. A
data set of the user's own is described in the cell too ("own_data_set"), so that its figures can be shown where its
config is not given.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..clip.families import tower_class
from ..environment.numbers import check_number
from ..evaluation.configs import read_config
from ..evaluation.results import write_results
from ..protocols.settings import OWN_DATA_SETS, entry, protocol_of, settings, table, usual_methods
from ..resources import config_folder
from .keys import Key, refuse_earlier_scenes
from .own_data_sets import base_config, keep_own_settings

MACHINE = ('data root', 'checkpoint')  # of a run's protocol: paths of the machine it ran on


@dataclass(frozen=True)
class Cell:
    """One figure of a leaderboard.

    Args:
        method, data_set, protocol: names of `resources/protocols.json`, or of the user's own.
        backbone: 'ARCH:PRETRAINED', or '' for the one of the data set's shipped config.

    Raises:
        ValueError: an unknown name, or a backbone without a colon.
    """

    method: str
    data_set: str
    protocol: str
    backbone: str = ''

    def __post_init__(self) -> None:
        for kind, name in (
            ('methods', self.method),
            ('data_sets', self.data_set),
            ('protocols', self.protocol),
        ):
            entry(kind, name)
        arch, colon, pretrained = self.backbone.partition(':')
        if self.backbone and not (arch and colon and pretrained):
            raise ValueError(
                f'got the backbone {self.backbone!r}; write ARCH:PRETRAINED, such as ViT-L-14:openai'
            )

    @property
    def name(self) -> str:
        """Method, protocol where it is not the usual one, backbone: the stem of its files."""
        unusual = self.protocol != protocol_of(self.method, self.data_set)
        backbone = ''.join(letter if letter.isalnum() else '-' for letter in self.backbone)
        return '_'.join(part for part in (self.method, self.protocol if unusual else '', backbone) if part)

    def __str__(self) -> str:
        return f'{self.name} on {self.data_set}'

    def path(self, folder: Path) -> Path:
        """Its result below the folder of a leaderboard."""
        return folder / self.data_set / f'{self.name}.json'


def cells(methods: Sequence[str], data_sets: Sequence[str], backbones: Sequence[str] = ('',)) -> list[Cell]:
    """The whole grid, data set by data set.

    Args:
        methods: names, or 'METHOD:PROTOCOL' for another protocol than the method's usual one; none: `usual_methods`.
        data_sets: names.
        backbones: as `Cell.backbone`.

    Raises:
        ValueError: an unknown name.
    """
    grid = []
    for data_set in data_sets:
        for backbone in backbones:
            for given in methods or usual_methods(data_set, backbone):
                method, _, protocol = given.partition(':')
                grid.append(Cell(method, data_set, protocol or protocol_of(method, data_set), backbone))
    return list(dict.fromkeys(grid))


def run_config(cell: Cell, options: Mapping[str, Any] | None = None, data_root: str | None = None) -> Config:
    """The config of a cell's run: a model file and a data set file with the cell's settings.

    Args:
        cell: which run.
        options: changes by dotted key, as of `--cfg-options`.
        data_root: in place of the config's.
    """
    facts, own = entry('data_sets', cell.data_set), cell.data_set in OWN_DATA_SETS
    cfg = base_config(facts) if own else read_config(config_folder() / f'clipsurgery_{facts["config"]}.py')
    changes = settings(cell.method, cell.data_set, cell.protocol)
    for part, stated in changes['model'].items():
        cfg.model[part] = {**cfg.model.get(part, {}), **stated}
    cfg.test_pipeline, cfg.tta_pipeline = changes['test_pipeline'], changes['tta_pipeline']
    if own:
        cfg.test_dataloader.setdefault('num_workers', changes['test_dataloader']['num_workers'])
        keep_own_settings(cfg, facts)
    else:
        cfg.test_dataloader.dataset.update(changes['test_dataloader']['dataset'])
    if cell.backbone:
        set_backbone(cfg.model, *cell.backbone.split(':', 1))
    if data_root:
        cfg.test_dataloader.dataset.data_root = data_root
    return read_config(cfg, options)


def set_backbone(model: Any, arch: str, pretrained: str) -> None:
    """Another CLIP for both towers; the preprocessor takes its mean and std from the tower.

    Sink channels that the settings state belong to the tower that was there, and are left out.

    Raises:
        ValueError: an unknown arch, or an image tower of an unsupported kind.
    """
    model.backbone.update(type=tower_class(arch).__name__, arch=dict(name=arch), pretrained=pretrained)
    model.text_encoder.update(arch=dict(name=arch), pretrained=pretrained)
    model.data_preprocessor = None
    model.backbone.surgery.get('constants', {}).pop('sinks', None)


def is_done(cell: Cell, folder: Path, key: Key) -> bool:
    """Whether the cell's result is there and was run with these settings on this data."""
    path = cell.path(folder)
    if not path.is_file():
        return False
    try:
        return key.agrees(json.loads(path.read_text(encoding='utf-8'))['cell'])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def keep(cell: Cell, folder: Path, key: Key, results: Mapping[str, Any]) -> None:
    """Write a cell's result, whole or not at all."""
    stated: dict[str, Any] = {**asdict(cell), **key.stated()}
    if cell.data_set in OWN_DATA_SETS:
        facts = OWN_DATA_SETS[cell.data_set]
        stated['own_data_set'] = {name: facts[name] for name in ('title', 'protocol') if name in facts}
    write_results(cell.path(folder), {'cell': stated, **results, 'protocol': shared_protocol(results)})


def shared_protocol(results: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol of a run without paths of the machine."""
    return {name: value for name, value in results['protocol'].items() if name not in MACHINE}


def cell_of(result: Mapping[str, Any]) -> Cell:
    """The cell of a result.

    Raises:
        ValueError: its method or data set is the user's own and was not given.
    """
    stated = result['cell']
    return Cell(stated['method'], stated['data_set'], stated['protocol'], stated['backbone'])


def read_cells(folder: Path) -> list[dict[str, Any]]:
    """Every result below the folder of a leaderboard, in the order of the tables: data sets, then methods.

    Those of the user's own come after those of the table, whether they are known to this process or not.

    Raises:
        ValueError: a file is no result of a cell, or of scenes that are no longer drawn.
    """
    found = [(path, read_cell(path)) for path in folder.glob('*/*.json')]
    return [result for path, result in sorted(found, key=lambda entry: order(*entry))]


def read_cell(path: Path) -> dict[str, Any]:
    """A kept result.

    Raises:
        ValueError: the file is none, or of scenes that are no longer drawn.
    """
    try:
        result = json.loads(path.read_text(encoding='utf-8'))
        check_result(result)
        order(path, result)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise ValueError(
            f'{path} is no result of a cell ({error!r}): remove it, and it is run again'
        ) from None
    refuse_earlier_scenes(path, result['cell'])
    return result


def order(path: Path, result: Mapping[str, Any]) -> tuple:
    """Where a result stands in the tables: data sets, then methods, in the order of protocols.json; then by file."""
    return (
        *rank('data_sets', result['cell']['data_set']),
        *rank('methods', result['cell']['method']),
        path.stem,
    )


def check_kept(folder: Path, cells: Iterable[Cell]) -> None:
    """Before anything is run: whether tables can be made of what is kept beside these cells.

    One of them whose result is none, or of scenes that are no longer drawn, is named; it is run again.

    Raises:
        ValueError: as `read_cells`, of a result of another cell.
    """
    ours = {cell.path(folder) for cell in cells}
    for path in sorted(folder.glob('*/*.json')):
        try:
            read_cell(path)
        except ValueError as error:
            if path not in ours:
                raise
            print(error, flush=True)


def check_result(result: Mapping[str, Any]) -> None:
    """Raises ValueError or KeyError where a result names no cell, or has a metric that is no number."""
    for name in ('method', 'data_set', 'protocol', 'backbone'):
        if not isinstance(result['cell'][name], str):
            raise ValueError(f'{name} must be a name, got {result["cell"][name]!r}')
    if not isinstance(result['protocol'], Mapping):
        raise ValueError(f'protocol must hold names and values, got {result["protocol"]!r}')
    for name, figure in result['metrics'].items():
        if figure is not None:  # null stands for what has no value
            check_number(name, figure)
    check_number('mIoU', result['metrics']['mIoU'])


def rank(kind: str, name: str) -> tuple[int, str]:
    """Position of a name in the table of protocols.json; names of the user's own come last, sorted."""
    names = list(table()[kind])
    return (names.index(name), '') if name in names else (len(names), str(name))
