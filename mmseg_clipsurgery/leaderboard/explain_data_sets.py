"""The data sets that explainers are run on: shipped configs by name, the user's own by their config files.

scenes, voc, ...      configs/explain/clipsurgery_<name>.py
./my_data.py          named `my_data`: a data set with words, as the leaderboard takes it (`own_data_sets`), read by the
                      shipped configs' protocol; or a whole config, with a model and a metric of explanation
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..evaluation.configs import check_parts, read_config
from ..evaluation.preflight import ignore_index_of
from ..protocols.settings import OWN_DATA_SETS, map_settings
from ..resources import config_folder
from .cells import Cell, run_config
from .own_data_sets import is_file_name, read_data_sets

PREFIX = 'clipsurgery_'  # of the shipped configs
PROTOCOL = 'clip_surgery_paper'  # whose reading they have: whole images of 512 x 512


def name_of(data_set: str) -> str:
    """The name of a data set: of an own one the stem of its file.

    Raises:
        ValueError: an own one has the name of a shipped one.
    """
    if not is_file_name(data_set):
        return data_set
    name = Path(data_set).stem
    if name in shipped():
        raise ValueError(f'the data set {data_set} has the name of a shipped one, {name}: rename the file')
    return name


def config_of(data_set: str, options: Mapping[str, Any] | None = None) -> Config:
    """The config of a data set's maps: a shipped one's by its name, an own one's by its file.

    Args:
        data_set: a name or a file.
        options: changes by dotted key.

    Raises:
        ValueError, FileNotFoundError: there is none, or it can't be read.
    """
    if not is_file_name(data_set) and data_set not in shipped():
        known = ', '.join(sorted(shipped()))
        raise ValueError(f'unknown data set {data_set!r}; take one of: {known}, or a config file of your own')
    if not is_file_name(data_set):
        return read_config(shipped()[data_set], options)
    own = read_config(data_set)
    is_whole = 'type' in (own.get('model') or {})
    cfg = read_config(own if is_whole else config_of_words(data_set, own), options)
    check_parts(cfg, 'model', 'test_dataloader', 'test_evaluator')
    return cfg


def config_of_words(path: str, own: Config) -> Config:
    """The config of maps of a data set that states its words: model, protocol and metric of the shipped configs.

    Args:
        path, own: its file, which was read; its own protocol, pipeline and evaluator win.

    Raises:
        ValueError: see `read_data_sets`.
    """
    (name,) = read_data_sets([path])
    protocol = OWN_DATA_SETS[name].get('protocol', PROTOCOL)
    stated = map_settings(name, protocol)['model']
    cfg = run_config(Cell('clip_surgery', name, protocol))
    cfg.model.data_preprocessor = None  # mean and std are those of the tower, which may be another one
    cfg.model.decode_head.update(stated['decode_head'])
    cfg.model.test_cfg.maps = stated['test_cfg']['maps']
    ignored = dict(ignore_index=ignore_index_of(cfg))
    cfg.test_evaluator = own.get('test_evaluator') or dict(type='ExplainabilityMetric', **ignored)
    return cfg


def shipped() -> dict[str, Path]:
    """The shipped configs of maps, by the names of their data sets."""
    found = (config_folder() / 'explain').glob(f'{PREFIX}*.py')
    return {path.stem.removeprefix(PREFIX): path for path in found}
