"""Who explains best: every method, with and without feature surgery, judged by its similarity maps.

    python tools/explain.py                                     the embedded scenes, and the table of docs/explain.md
    python tools/explain.py --data-set voc --data-root DIR      PASCAL VOC 2012, with the real weights
    python tools/explain.py --check                             does the table agree with the results?

A run is the test tool on `configs/explain/clipsurgery_<data set>.py` under one surgery and one similarity; its result
is kept as soon as it is there, and a run whose result is there is left out. The rows of the paper's ablation are raw
CLIP, feature surgery alone, architecture surgery alone, and both.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..environment.files import atomic_write
from ..environment.mistakes import guarded
from ..evaluation.results import write_results
from ..leaderboard.cells import MACHINE, settings_key
from ..leaderboard.tables import markdown, with_blocks
from ..protocols.settings import entry, table
from ..resources import config_folder
from . import cell_run

SIMILARITIES = {'cosine': 'cosine', 'released': 'feature surgery'}
HEADS = ('map mIoU', 'at threshold', 'mSC', 'pairs')


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and write the table; the exit code."""
    parser = argparse.ArgumentParser(prog='explain', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('--data-set', choices=('scenes', 'voc'), default='scenes')
    parser.add_argument('--methods', nargs='+', default=list(table()['methods']), metavar='METHOD')
    parser.add_argument('--data-root', help="in place of the config's")
    parser.add_argument('--out', type=Path, default=Path('results/explain'), help='folder of results')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/explain'), help='folder of logs')
    parser.add_argument(
        '--page', type=Path, default=Path('docs/explain.md'), help='text that holds the table'
    )
    parser.add_argument('--check', action='store_true', help='fail if the page differs from the results')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    arguments = parser.parse_args(argv)
    return guarded(lambda: act(arguments), arguments.debug)


def act(arguments: argparse.Namespace) -> None:
    """What the command line asks for.

    Raises:
        ValueError: an unknown method, or with --check a page that differs.
    """
    folder = arguments.out / arguments.data_set
    if not arguments.check:
        for method in arguments.methods:
            for similarity in SIMILARITIES:
                run(method, similarity, arguments, folder / f'{method}_{similarity}.json')
    results = [json.loads(path.read_text(encoding='utf-8')) for path in sorted(folder.glob('*.json'))]
    text = arguments.page.read_text(encoding='utf-8')
    wanted = with_blocks(text, {arguments.data_set: explain_table(results)})
    if arguments.check and text != wanted:
        raise ValueError(f'{arguments.page} is not what {folder} says: run python tools/explain.py')
    atomic_write(arguments.page, lambda temporary: temporary.write_text(wanted, encoding='utf-8'))
    print(f'{len(results)} results in {folder}; table in {arguments.page}', flush=True)


def run(method: str, similarity: str, arguments: argparse.Namespace, path: Path) -> None:
    """One run, unless its result is there and of today's settings."""
    cfg = run_config(method, similarity, arguments.data_set, arguments.data_root)
    key = settings_key(cfg)
    if path.is_file() and json.loads(path.read_text(encoding='utf-8'))['run']['settings'] == key:
        print(f'{method}, {similarity}: there already', flush=True)
        return
    results = cell_run.run(cfg, arguments.work_dir / arguments.data_set / path.stem, processes=0)
    stated = dict(method=method, similarity=similarity, data_set=arguments.data_set, settings=key)
    protocol = {name: value for name, value in results['protocol'].items() if name not in MACHINE}
    write_results(path, {'run': stated, **results, 'protocol': protocol})
    print(f'{method}, {similarity}: mSC {results["metrics"]["mSC"]:.2f}', flush=True)


def run_config(method: str, similarity: str, data_set: str, data_root: str | None = None) -> Config:
    """The config of one run.

    Raises:
        ValueError: an unknown method.
    """
    cfg = Config.fromfile(config_folder() / 'explain' / f'clipsurgery_{data_set}.py')
    cfg.model.backbone.surgery = entry('methods', method)['surgery']
    cfg.model.decode_head.similarity = similarity
    if data_root:
        cfg.test_dataloader.dataset.data_root = data_root
    return cfg


def explain_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Results as Markdown, methods in the order of the leaderboard."""
    found = {(one['run']['method'], one['run']['similarity']): one['metrics'] for one in results}
    lines = []
    for method, stated in table()['methods'].items():
        for similarity, title in SIMILARITIES.items():
            if metrics := found.get((method, similarity)):
                figures = [
                    f'{metrics["map_mIoU"]:.2f}',
                    f'{metrics["threshold"]:.2f}',
                    f'{metrics["mSC"]:.2f}',
                ]
                lines.append([stated['title'], title, *figures, f'{metrics["pairs"]:.0f}'])
    return markdown(['method', 'similarity'], HEADS, lines)
