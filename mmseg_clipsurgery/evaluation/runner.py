"""`evaluate`: a config gives a table of IoU, `results.json` and `per_class.csv`; the one way to run an evaluation.

    config -> processes -> preflight -> Runner -> checkpoint -> protocol printed -> MMSeg's test loop -> results.json

A config with many surgeries (`model.backbone.surgery = ['clip', 'sclip']`, or `model.variants`) is one run over the
images: pixels are decoded once, CLIP and the words are read once, and each surgery has metrics, results and a folder
`<work folder>/<name>` of its own, equal to those of a run alone.

The test tool, the leaderboard, the explainability benchmark and the demo call it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.runner import Runner

from ..datasets.base_datasets import image_root
from ..datasets.mask_labels import judge
from ..models import register_towers
from . import distributed, registration, results  # noqa: F401 - registers what configs name
from . import preflight as files
from .configs import read_config
from .fitting import fits
from .hooks.progress import ProgressHook
from .metrics.segmentation import SegmentationMetric
from .numerics import numerics
from .preparation import prepare
from .run_logs import run_logs
from .sampling import check_sampling
from .strict_checkpoint import load_checkpoint
from .variants import metrics_of, surgeries_to_variants, variants_of

Found = TypeVar('Found')


def evaluate(
    cfg: Config | str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    work_dir: str | Path | None = None,
    checkpoint: str | Path | None = None,
    data_root: str | Path | None = None,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    show: bool = False,
    wait_time: float = 2.0,
    tta: bool = False,
    launcher: str = 'none',
    preflight: bool = True,
    quiet: bool = False,
) -> dict[str, Any] | None:
    """Evaluate a segmentor.

    Args:
        cfg: a config, a file, or the name of a shipped config; an object is not changed. It may have many surgeries.
        options: changes by dotted key, as of `--cfg-options`.
        work_dir: where logs and results go; None: the config's own, else `work_dirs/<config>`.
        checkpoint: the segmentor's state dict, loaded strictly; None: the config's `load_from`, else its `pretrained`
            weights.
        data_root: folder of the data set, in place of the config's.
        out: folder for predicted masks.
        show_dir: folder for a picture of every image.
        show, wait_time: show predictions in a window, each for so many seconds.
        tta: test-time augmentation, as `tta_model` and `tta_pipeline` of the config say.
        launcher: who started the processes, one of `LAUNCHERS`; the process group is joined, and left by
            `distributed.stop`.
        preflight: look at settings and all files before the run.
        quiet: print nothing but progress on a terminal; the rest goes to `output.txt` in the work folder.

    Returns:
        What `results.json` holds (see `results`) on the first process, None on the others. With many surgeries: name ->
        what its `results.json` holds.

    Raises:
        ValueError, FileNotFoundError: a user's mistake, in one sentence; with several processes the first one raises it
            and the others exit.
    """
    cfg = read_config(cfg, options)
    with fits(cfg):
        surgeries_to_variants(cfg)
        register_towers()
        prepare(cfg, work_dir, checkpoint, data_root, out, show_dir, show, wait_time, tta)
    distributed.start(launcher, cfg)
    with run_logs(cfg.work_dir, quiet):
        if preflight:
            check_on_all_processes(cfg)
        return run(cfg)


def run(cfg: Config) -> dict[str, Any] | None:
    """Build MMEngine's Runner from a prepared config and let it test; as `evaluate`."""
    checkpoint, cfg.load_from, cfg.resume = cfg.get('load_from'), None, False
    names: list[str | None] = [*variants_of(cfg)] or [None]
    runner = together(lambda: build_runner(cfg))
    assert runner is not None
    if checkpoint:
        load_checkpoint(results.unwrap(runner.model), checkpoint)
        runner.logger.info(f'weights: {checkpoint}')
    together(lambda: check_sampling(runner.test_loop.dataloader))
    dataset = runner.test_dataloader.dataset
    settings = {name: results.protocol(cfg, dataset, runner.model, name) for name in names}
    for stated in settings.values():
        stated['checkpoint'] = checkpoint
    runner.logger.info(f'protocol\n{results.protocols_lines(settings)}')
    runner.logger.info('the first batch takes longer: words are embedded with it, unless the cache has them')
    name_saved_files(runner)
    found: dict[str | None, Any] = {None: runner.test()}
    memory = results.peak_memory_mib()
    if get_dist_info()[0] != 0:
        return None
    found |= getattr(runner.test_evaluator, 'results', {})
    written: dict[Any, Any] = {
        name: write_results(runner, settings[name], found[name], memory, name) for name in names
    }
    return written.get(None) or written


def build_runner(cfg: Config) -> Runner:
    """MMEngine's Runner of a prepared config, with its data loader, evaluator and loop. Raises ValueError as `fits`."""
    with fits(cfg):
        if variants := variants_of(cfg):
            metrics = {name: metrics_of(cfg.test_evaluator, name) for name in variants}
            cfg.test_evaluator = dict(type='VariantsEvaluator', metrics=metrics)
        runner = Runner.from_cfg(cfg)
        assert runner.test_loop is not None  # it is built as it is asked for
    return runner


def check_on_all_processes(cfg: Config) -> None:
    """The preflight, its files divided among the processes; all of them end at a mistake, the first one says it."""
    rank, world = get_dist_info()

    def report(line: str) -> None:
        if rank == 0:
            print(line, flush=True)

    def check() -> Any:
        with fits(cfg):
            return files.check(cfg, rank, world, report)

    seen = together(check) or {}
    for note in together(lambda: judge(all_gather_object(seen))) or []:
        report(f'preflight: {note}')


def together(action: Callable[[], Found]) -> Found | None:
    """What an action returns; where it raises a user's mistake on one process, all of them end."""
    found, mistake = None, None
    try:
        found = action()
    except (ValueError, FileNotFoundError) as error:
        mistake = error
    distributed.raise_together(mistake)
    return found


def name_saved_files(runner: Runner) -> None:
    """Keep the folders of the data set in the names of saved masks and scores, so that none overwrites another."""
    for metric in runner.test_evaluator.metrics:
        if isinstance(metric, SegmentationMetric) and metric.image_root is None:
            metric.image_root = image_root(runner.test_dataloader.dataset)


def write_results(
    runner: Runner,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    memory: Mapping[str, float],
    variant: str | None = None,
) -> dict[str, Any]:
    """Write `results.json`, `per_class.csv` and, if it was asked for, `per_image.csv`.

    Args:
        runner: after its run.
        settings: the protocol.
        metrics: what the evaluator gave.
        memory: see `results.peak_memory_mib`.
        variant: whose they are, where the model has variants; the seconds are those of all of them together.
    """
    progress = next(hook for hook in runner.hooks if isinstance(hook, ProgressHook))
    evaluator, folder = runner.test_evaluator, Path(runner.work_dir)
    if variant is not None:
        evaluator, folder = evaluator.parts[variant], folder / variant
    ours = next((one for one in evaluator.metrics if isinstance(one, SegmentationMetric)), None)
    device = next(runner.model.parameters(), torch.empty(0)).device
    written = {
        'metrics': dict(metrics),
        'per_class': ours.per_class if ours else None,
        'protocol': dict(settings),
        'numerics': numerics(settings['precision'], device),
        'images': settings['images'],
        **progress.speed(settings['images']),
        'peak_memory_mib': memory,
    }
    if variant is not None:
        written['one_pass'] = list(runner.test_evaluator.parts)
    if ours and ours.per_image_rows:
        written['per_image'] = ours.per_image_rows
    stamped = results.write_results(folder / 'results.json', written)
    if ours:
        results.write_table(folder / 'per_class.csv', ours.per_class)
        results.write_table(folder / 'per_image.csv', ours.per_image_rows)
    runner.logger.info(f'results: {folder / "results.json"}')
    return stamped
