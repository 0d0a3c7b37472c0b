"""The test tool: a config, and a checkpoint where there is one, give a table of IoU and `results.json`.

    python tools/test.py CONFIG [CHECKPOINT]          python -m mmseg_clipsurgery.test CONFIG [CHECKPOINT]

CONFIG is a file or the name of a shipped one (`clipsurgery_voc`). CHECKPOINT is the segmentor's own state dict (see
`export`), loaded strictly; without one the config's `pretrained` weights serve. The options are those of MMSeg's tool;
`--data-root`, `--no-preflight` and `--debug` are ours.

    config -> processes -> preflight -> Runner -> checkpoint -> protocol printed -> MMSeg's test loop -> results.json

A user's mistake ends in one sentence and exit code 1; `--debug` or MMSEG_CLIPSURGERY_DEBUG=1 shows where it came from.
"""

import argparse
import inspect
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.runner import Runner
from mmseg.registry import METRICS

from .datasets.base_datasets import dataset_configs, image_root
from .environment.mistakes import guarded
from .evaluation import distributed, preflight, registration, results  # noqa: F401
from .evaluation.configs import read_config
from .evaluation.hooks.progress import ProgressHook
from .evaluation.metrics.segmentation import SegmentationMetric

NEVER = 10**9  # iterations between two lines of MMEngine's logger hook, which ProgressHook replaces


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool with these arguments (default: the command line's); the exit code."""
    arguments = parse(argv)
    try:
        return guarded(lambda: run(arguments), arguments.debug)
    finally:
        distributed.stop()


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='test', description='Evaluate a segmentor.', epilog=(__doc__ or '').strip()
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('config', help='a config file or the name of a shipped one')
    parser.add_argument(
        'checkpoint', nargs='?', help="the segmentor's state dict; default: the pretrained weights"
    )
    parser.add_argument('--work-dir', help='where logs and results.json go; default: work_dirs/<config>')
    parser.add_argument('--data-root', help='folder of the data set, in place of the one in the config')
    parser.add_argument('--out', metavar='DIR', help='save predicted masks in this folder')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='save a picture of every image in this folder')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds for each picture of --show')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='change the config'
    )
    parser.add_argument(
        '--launcher', choices=distributed.LAUNCHERS, default='none', help='who started the processes'
    )
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--no-preflight', action='store_true', help='do not check settings and files before the run'
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Evaluate; what `results.json` holds, on the first process, None on the others.

    Raises:
        ValueError, FileNotFoundError: a user's mistake, in one sentence.
    """
    cfg = configure(arguments)
    if arguments.launcher != 'none':
        os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))
    distributed.start(arguments.launcher, cfg)
    if not arguments.no_preflight:
        check_on_all_processes(cfg)
    checkpoint, cfg.load_from, cfg.resume = cfg.get('load_from'), None, False
    show_own_log()
    runner = Runner.from_cfg(cfg)
    segmentor = results.unwrap(runner.model)
    if checkpoint:
        load_checkpoint(segmentor, checkpoint)
        runner.logger.info(f'weights: {checkpoint}')
    settings = results.protocol(cfg, runner.test_loop.dataloader.dataset, runner.model)
    settings['checkpoint'] = checkpoint
    runner.logger.info(f'protocol\n{results.protocol_lines(settings)}')
    runner.logger.info('the first batch takes longer: words are embedded with it, unless the cache has them')
    name_saved_files(runner)
    return write_results(runner, settings, runner.test())


def show_own_log() -> None:
    """Print what the package logs (which weights, which activation, what is clipped) on the first process."""
    logger = logging.getLogger('mmseg_clipsurgery')
    if not logger.handlers and get_dist_info()[0] == 0:
        logger.addHandler(logging.StreamHandler(sys.stdout))
        logger.setLevel(logging.INFO)


def configure(arguments: argparse.Namespace) -> Config:
    """The config with everything that the command line says."""
    cfg = read_config(arguments.config, arguments.cfg_options)
    for part in ('model', 'test_dataloader', 'test_evaluator'):
        if not cfg.get(part):
            raise ValueError(f'the config {arguments.config} has no {part}: it is not a config of a test run')
    cfg.setdefault('test_cfg', dict(type='TestLoop'))
    cfg.test_dataloader.setdefault('pin_memory', torch.cuda.is_available())
    cfg.work_dir = (
        arguments.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(arguments.config).stem))
    )
    if arguments.checkpoint:
        cfg.load_from = arguments.checkpoint
    if cfg.get('load_from') and not Path(cfg.load_from).is_file():
        raise FileNotFoundError(
            f'the checkpoint {cfg.load_from} does not exist: leave it out for pretrained weights'
        )
    if arguments.data_root:
        for source in dataset_configs(cfg.test_dataloader.dataset):
            source.data_root = arguments.data_root
    if arguments.out:
        save_masks(cfg, arguments.out)
    if arguments.tta:
        augment(cfg)
    set_hooks(cfg, arguments)
    return cfg


def augment(cfg: Config) -> None:
    """Wrap model and pipeline for test-time augmentation, as the config says."""
    if not cfg.get('tta_model') or not cfg.get('tta_pipeline'):
        raise ValueError('--tta needs tta_model and tta_pipeline in the config: add them, or leave --tta out')
    for source in dataset_configs(cfg.test_dataloader.dataset):
        source.pipeline = cfg.tta_pipeline
    cfg.model = dict(**cfg.tta_model, module=cfg.model)


def save_masks(cfg: Config, folder: str) -> None:
    """Let the first evaluator that can save predicted masks do so."""
    for evaluator in preflight.evaluators(cfg):
        metric = METRICS.get(evaluator['type']) if isinstance(evaluator['type'], str) else evaluator['type']
        if metric is not None and 'output_dir' in inspect.signature(metric).parameters:
            evaluator['output_dir'] = folder
            return
    raise ValueError(
        '--out needs an evaluator that saves masks: set test_evaluator.type to SegmentationMetric'
    )


def set_hooks(cfg: Config, arguments: argparse.Namespace) -> None:
    """Our hooks, in place of MMEngine's log lines and MMSeg's pictures."""
    defaults = dict(cfg.get('default_hooks') or {})
    window = defaults.pop('visualization', None) or dict(type='SegVisualizationHook')
    if arguments.show:
        defaults['visualization'] = {**window, 'draw': True, 'show': True, 'wait_time': arguments.wait_time}
    logger = defaults.get('logger') or dict(type='LoggerHook')
    cfg.default_hooks = {**defaults, 'logger': {**logger, 'interval': NEVER}}
    ours: list[dict[str, Any]] = [dict(type='ProgressHook'), dict(type='NameUnreadableFilesHook')]
    if arguments.show_dir:
        ours.append(dict(type='SavePicturesHook', folder=arguments.show_dir))
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *ours]


def check_on_all_processes(cfg: Config) -> None:
    """The preflight, its files divided among the processes; all of them end at a mistake, the first one says it."""
    rank, world = get_dist_info()
    mistake: Exception | None = None
    try:
        preflight.check(cfg, rank, world, report=lambda line: print(line, flush=True) if rank == 0 else None)
    except (ValueError, FileNotFoundError) as error:
        mistake = error
    mistakes = [one for one in all_gather_object(mistake) if one is not None]
    if mistakes and rank == 0:
        raise mistakes[0]
    if mistakes:
        sys.exit(1)


def load_checkpoint(model: torch.nn.Module, path: str) -> None:
    """Load a segmentor's state dict, bare or under `state_dict`; nothing pickled is executed.

    Raises:
        ValueError: the file is no such thing, or its keys or shapes are not those of the model.
    """
    try:
        loaded = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f'{path} is no checkpoint of tensors ({reason}): make one with python -m mmseg_clipsurgery export, '
            "or give a CLIP's weights as pretrained in the config"
        ) from None
    state = loaded.get('state_dict', loaded) if isinstance(loaded, Mapping) else {}
    state = {
        key.removeprefix('module.'): value for key, value in state.items() if isinstance(value, torch.Tensor)
    }
    expected = model.state_dict()
    problems = {
        'missing': sorted(expected.keys() - state.keys()),
        'unexpected': sorted(state.keys() - expected.keys()),
        'of another shape': sorted(
            key for key in expected.keys() & state.keys() if expected[key].shape != state[key].shape
        ),
    }
    found = [f'{len(keys)} {kind} ({_first(keys)})' for kind, keys in problems.items() if keys]
    if found:
        raise ValueError(
            f'the checkpoint {path} is not of this model, keys: {", ".join(found)}: take the config it was exported '
            "with, or give a CLIP's weights as pretrained in the config"
        )
    model.load_state_dict(state)


def name_saved_files(runner: Runner) -> None:
    """Keep the folders of the data set in the names of saved masks and scores, so that none overwrites another."""
    for metric in runner.test_evaluator.metrics:
        if isinstance(metric, SegmentationMetric) and metric.image_root is None:
            metric.image_root = image_root(runner.test_dataloader.dataset)


def write_results(
    runner: Runner, settings: Mapping[str, Any], metrics: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Write `results.json`, `per_class.csv` and, if it was asked for, `per_image.csv` on the first process."""
    memory = results.peak_memory_mib()
    if get_dist_info()[0] != 0:
        return None
    progress = next(hook for hook in runner.hooks if isinstance(hook, ProgressHook))
    ours = next((one for one in runner.test_evaluator.metrics if isinstance(one, SegmentationMetric)), None)
    written = {
        'metrics': dict(metrics),
        'per_class': ours.per_class if ours else None,
        'protocol': dict(settings),
        'images': settings['images'],
        **progress.speed(settings['images']),
        'peak_memory_mib': memory,
    }
    if ours and ours.per_image_rows:
        written['per_image'] = ours.per_image_rows
    folder = Path(runner.work_dir)
    results.write_results(folder / 'results.json', written)
    if ours:
        results.write_table(folder / 'per_class.csv', ours.per_class)
        results.write_table(folder / 'per_image.csv', ours.per_image_rows)
    runner.logger.info(f'results: {folder / "results.json"}')
    return written


def _first(keys: Sequence[str], count: int = 3) -> str:
    return ', '.join(keys[:count]) + (', ...' if len(keys) > count else '')


if __name__ == '__main__':
    sys.exit(main())
