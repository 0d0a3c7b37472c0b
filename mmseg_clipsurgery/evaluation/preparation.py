"""A config made ready for its run: work folder, checkpoint, data root, what is saved or shown, our hooks."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmseg.registry import METRICS

from ..datasets.base_datasets import dataset_configs
from ..environment.numbers import check_count
from ..environment.paths import folder_to_write, user_path
from .configs import check_parts, set_data_root
from .keywords import check_keywords
from .pipelines import check_pipeline
from .preflight import evaluators

NEVER = 10**9  # iterations between two lines of MMEngine's logger hook, which ProgressHook replaces


def prepare(
    cfg: Config,
    work_dir: str | Path | None = None,
    checkpoint: str | Path | None = None,
    data_root: str | Path | None = None,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    show: bool = False,
    wait_time: float = 2.0,
    tta: bool = False,
) -> None:
    """Set in `cfg` what a run is asked for; the arguments are those of `evaluate`.

    Raises:
        ValueError: the config is not one of a test run, or can't do what is asked.
        FileNotFoundError: there is no such checkpoint.
    """
    check_parts(cfg, 'model', 'test_dataloader', 'test_evaluator')
    cfg.setdefault('test_cfg', dict(type='TestLoop'))
    cfg.test_dataloader.setdefault('pin_memory', torch.cuda.is_available())
    default = Path('work_dirs', Path(cfg.filename).stem if cfg.filename else 'evaluation')
    chosen = str(cfg.get('work_dir') or default) if work_dir is None else work_dir
    cfg.work_dir = str(folder_to_write(chosen, '--work-dir'))
    out = None if out is None else folder_to_write(out, '--out')
    show_dir = None if show_dir is None else folder_to_write(show_dir, '--show-dir')
    if checkpoint is not None:
        cfg.load_from = str(user_path(checkpoint))
    if cfg.get('load_from') and not Path(cfg.load_from).is_file():
        raise FileNotFoundError(
            f'the checkpoint {cfg.load_from} does not exist: leave it out for pretrained weights'
        )
    if data_root is not None:
        set_data_root(cfg, user_path(data_root))
    check_keywords(cfg)
    check_loader(cfg.test_dataloader)
    for source in dataset_configs(cfg.test_dataloader.dataset):
        check_pipeline(cfg.tta_pipeline if tta and cfg.get('tta_pipeline') else source.get('pipeline', []))
    if out is not None:
        save_masks(cfg, str(out))
    if tta:
        augment(cfg)
    set_hooks(cfg, show_dir, window=dict(show=True, wait_time=wait_time) if show else None)


def check_loader(loader: Mapping[str, Any]) -> None:
    """Refuse numbers with which a loader gives no batches. Raises ValueError."""
    if 'batch_size' in loader and not loader.get('batch_sampler'):
        check_count('test_dataloader.batch_size', loader['batch_size'])
    check_count('test_dataloader.num_workers', loader.get('num_workers', 0), least=0)


def save_masks(cfg: Config, folder: str) -> None:
    """Let the first evaluator that can save predicted masks do so.

    Raises:
        ValueError: none of them can.
    """
    for evaluator in evaluators(cfg):
        metric = METRICS.get(evaluator['type']) if isinstance(evaluator['type'], str) else evaluator['type']
        if metric is not None and 'output_dir' in inspect.signature(metric).parameters:
            evaluator['output_dir'] = folder
            return
    raise ValueError(
        '--out needs an evaluator that saves masks: set test_evaluator.type to SegmentationMetric'
    )


def augment(cfg: Config) -> None:
    """Wrap model and pipeline for test-time augmentation, as the config says.

    Raises:
        ValueError: it does not say how.
    """
    if not cfg.get('tta_model') or not cfg.get('tta_pipeline'):
        raise ValueError('--tta needs tta_model and tta_pipeline in the config: add them, or leave --tta out')
    for source in dataset_configs(cfg.test_dataloader.dataset):
        source.pipeline = cfg.tta_pipeline
    cfg.model = dict(**cfg.tta_model, module=cfg.model)


def set_hooks(
    cfg: Config, show_dir: str | Path | None = None, window: Mapping[str, Any] | None = None
) -> None:
    """Our hooks, in place of MMEngine's log lines and MMSeg's pictures.

    Args:
        cfg: the whole config.
        show_dir: folder for a picture of each image.
        window: settings of MMSeg's hook that shows predictions in a window; None: no window.
    """
    defaults = dict(cfg.get('default_hooks') or {})
    visualization = defaults.pop('visualization', None) or dict(type='SegVisualizationHook')
    if window:
        defaults['visualization'] = {**visualization, 'draw': True, **window}
    logger = defaults.get('logger') or dict(type='LoggerHook')
    cfg.default_hooks = {**defaults, 'logger': {**logger, 'interval': NEVER}}
    ours: list[dict[str, Any]] = [dict(type='ProgressHook'), dict(type='NameUnreadableFilesHook')]
    if show_dir is not None:
        ours.append(dict(type='SavePicturesHook', folder=str(show_dir)))
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *ours]
