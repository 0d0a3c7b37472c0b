"""Who explains best: every method, with and without feature surgery, judged by its similarity maps.

A run is an evaluation of `configs/explain/clipsurgery_<data set>.py` under one surgery and one similarity; its result
is kept as soon as it is there, and a run whose result is there is left out. The rows of the paper's ablation are raw
CLIP, feature surgery alone, architecture surgery alone, and both.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..environment.files import atomic_write
from ..evaluation.configs import read_config
from ..evaluation.results import write_results
from ..evaluation.runner import evaluate
from ..protocols.settings import method_settings
from ..resources import config_folder
from .cells import shared_protocol
from .keys import key_of
from .tables import markdown, methods_of, with_blocks

SIMILARITIES = {'cosine': 'cosine', 'released': 'feature surgery'}
HEADS = ('map mIoU', 'at threshold', 'mSC', 'pairs')


def run_suite(
    methods: Sequence[str], data_set: str, out: Path, work_dir: Path, data_root: str | None = None
) -> None:
    """Run every method under both similarities, unless the result is there and of today's settings.

    Args:
        methods: names.
        data_set: 'scenes' or 'voc'.
        out: folder of results.
        work_dir: folder of logs.
        data_root: in place of the config's.

    Raises:
        ValueError, FileNotFoundError: an unknown method; or as `evaluate`.
    """
    planned = {
        (method, similarity): run_config(method, similarity, data_set, data_root)
        for method in methods
        for similarity in SIMILARITIES
    }
    for (method, similarity), cfg in planned.items():
        name = f'{method}_{similarity}'
        path, key = out / data_set / f'{name}.json', key_of(cfg)
        if path.is_file() and key.agrees(json.loads(path.read_text(encoding='utf-8'))['run']):
            print(f'{method}, {similarity}: there already', flush=True)
            continue
        results = evaluate(cfg, work_dir=work_dir / data_set / name, quiet=True)
        assert results is not None
        stated = dict(method=method, similarity=similarity, data_set=data_set, **key.stated())
        write_results(path, {'run': stated, **results, 'protocol': shared_protocol(results)})
        print(f'{method}, {similarity}: mSC {results["metrics"]["mSC"]:.2f}', flush=True)


def run_config(method: str, similarity: str, data_set: str, data_root: str | None = None) -> Config:
    """The config of one run.

    Raises:
        ValueError: an unknown method.
    """
    cfg = read_config(config_folder() / 'explain' / f'clipsurgery_{data_set}.py')
    own = method_settings(method, data_set)
    cfg.model.backbone.surgery = own['surgery']
    if 'guide' in own:
        cfg.model.guide = own['guide']
    cfg.model.decode_head.similarity = similarity
    if data_root:
        cfg.test_dataloader.dataset.data_root = data_root
    return cfg


def write_page(page: Path, folder: Path, data_set: str, check: bool = False) -> None:
    """Put the table of a data set's results into a text.

    Args:
        page: the text, with a block of the data set's name.
        folder: of all results.
        data_set: which.
        check: write nothing.

    Raises:
        ValueError: the text has no such block, or with `check` it differs from the results.
    """
    found = sorted((folder / data_set).glob('*.json'))
    text = page.read_text(encoding='utf-8')
    table = explain_table([json.loads(path.read_text(encoding='utf-8')) for path in found])
    wanted = with_blocks(text, {data_set: table})
    if check and text != wanted:
        raise ValueError(f'{page} is not what {folder / data_set} says: run python tools/explain.py')
    if not check:
        atomic_write(page, lambda temporary: temporary.write_text(wanted, encoding='utf-8'))
    print(f'{len(found)} results in {folder / data_set}; table in {page}', flush=True)


def explain_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Results as Markdown, methods in the order of the leaderboard."""
    found = {(one['run']['method'], one['run']['similarity']): one['metrics'] for one in results}
    lines = []
    for method, stated in methods_of(method for method, _ in found).items():
        for similarity, title in SIMILARITIES.items():
            if metrics := found.get((method, similarity)):
                figures = [
                    f'{metrics["map_mIoU"]:.2f}',
                    f'{metrics["threshold"]:.2f}',
                    f'{metrics["mSC"]:.2f}',
                ]
                lines.append([stated['title'], title, *figures, f'{metrics["pairs"]:.0f}'])
    return markdown(['method', 'similarity'], HEADS, lines)
