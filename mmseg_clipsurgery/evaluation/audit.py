"""Is a data set what its config expects? All of it is looked at, as the preflight does, and no weights are needed.

What the preflight only notes (another number of images than published, signs of another encoding, a class that never
occurs) is a failure here.
"""

import time

from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..datasets.base_datasets import dataset_configs
from ..datasets.mask_check import check_files, check_listed_once
from ..datasets.mask_labels import judge
from ..datasets.on_disk import all_pairs, build_dataset, check_folders, count_notes
from ..resources import config_folder
from . import registration  # noqa: F401
from .configs import check_parts, read_config, set_data_root
from .preflight import check_classes, ignore_index_of

TASKS = ('explain', 'recognise')  # folders of configs


def audit(cfg: Config, data_root: str | None = None, subset: bool = False) -> str:
    """Look at everything of a config's test data set; a sentence that says what was found to be right.

    Args:
        cfg: the whole config.
        data_root: folder in place of the config's.
        subset: any number of images will do.

    Raises:
        ValueError, FileNotFoundError: what is wrong, and the remedy.
    """
    start = time.perf_counter()
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    check_parts(cfg, 'test_dataloader')
    if data_root:
        set_data_root(cfg, data_root)
    source = cfg.test_dataloader.dataset
    for dataset_config in dataset_configs(source):
        check_folders(dataset_config)
    dataset = build_dataset(source)
    check_classes(cfg, dataset)
    pairs = all_pairs(dataset, source, ignore_index_of(cfg), needs_masks=True)
    if not pairs:
        raise ValueError(f'{source.get("data_root")} lists no image: is it the right --data-root?')
    check_listed_once(pairs)
    problems = judge([check_files(pairs, report=lambda line: print(line, flush=True))])
    problems += [] if subset else count_notes(pairs)
    if problems:
        raise ValueError('; '.join(problems))
    masks = sum(pair.mask is not None for pair in pairs)
    seconds = time.perf_counter() - start
    beside = f' and {masks} masks' if masks else ''
    return f'{len(pairs)} images{beside} are right ({seconds:.1f} s)'


def config_of(name: str) -> Config:
    """A config by file, by shipped name, or by what follows `clipsurgery_` in one, also in a folder of a task."""
    try:
        return read_config(name)
    except ValueError:
        of_tasks = (config_folder() / task / f'clipsurgery_{name}.py' for task in ('.', *TASKS))
        return read_config(next((path for path in of_tasks if path.is_file()), f'clipsurgery_{name}'))
