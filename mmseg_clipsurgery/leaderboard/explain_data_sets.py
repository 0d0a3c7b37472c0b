"""The data sets that explainers are run on: shipped configs by name, the user's own by their config files.

scenes, voc, ...      configs/explain/clipsurgery_<name>.py
./my_data.py          a whole config: model with test_cfg.maps, data set, a metric of explanation; its name is `my_data`
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..evaluation.configs import read_config
from ..resources import config_folder
from .own_data_sets import is_file_name

PREFIX = 'clipsurgery_'  # of the shipped configs


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
    return read_config(data_set if is_file_name(data_set) else shipped()[data_set], options)


def shipped() -> dict[str, Path]:
    """The shipped configs of maps, by the names of their data sets."""
    found = (config_folder() / 'explain').glob(f'{PREFIX}*.py')
    return {path.stem.removeprefix(PREFIX): path for path in found}
