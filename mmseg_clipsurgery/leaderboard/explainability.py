"""Who explains best: every method, with and without feature surgery, and the other explainers, judged by their maps.

A run is an evaluation of `configs/explain/clipsurgery_<data set>.py` under one surgery and one similarity, or by one
row of `EXPLAINERS`. Runs share a pass over the images (`passes`), at the end of which their results are kept; a run
whose result is there is left out. The rows of the paper's ablation are raw CLIP, feature surgery alone, architecture
surgery alone, and both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..environment.files import atomic_write, decoding, read_json
from ..environment.mistakes import sentence
from ..evaluation.configs import read_config
from ..evaluation.results import write_results
from ..explainers.table import EXPLAINERS, explainer_named
from ..protocols.settings import method_settings
from ..resources import config_folder
from .cells import shared_protocol
from .completeness import images_note
from .keys import Key, key_of
from .passes import groups, outcomes, run_together
from .tables import markdown, methods_of, with_blocks

SIMILARITIES = {'cosine': 'cosine', 'released': 'feature surgery'}
EXPLAINER = ''  # in place of a similarity: the method is a row of `EXPLAINERS`
HEADS = ('map mIoU', 'at threshold', 'mSC', 'pairs')


def run_suite(
    methods: Sequence[str],
    data_set: str,
    out: Path,
    work_dir: Path,
    data_root: str | None = None,
    one_by_one: bool = False,
    debug: bool = False,
    explainers: Sequence[str] = (),
) -> list[str]:
    """Run every method under both similarities, unless the result is there and of today's settings.

    Args:
        methods: names of surgeries.
        data_set: 'scenes' or 'voc'.
        out: folder of results.
        work_dir: folder of logs.
        data_root: in place of the config's.
        one_by_one: a run for each method and similarity, none of which share a pass.
        debug: let the error of a run through.
        explainers: names of `EXPLAINERS`, which are run too.

    Returns:
        A line for each run that failed.

    Raises:
        ValueError: an unknown method or explainer.
    """
    asked = [(method, similarity) for method in methods for similarity in SIMILARITIES]
    asked += [(name, EXPLAINER) for name in explainers]
    runs = [Run(*names, run_config(*names, data_set, data_root)) for names in asked]
    missing = {run.name: run for run in runs if not run.is_done(out / data_set)}
    failed = []
    for group in groups({name: run.cfg for name, run in missing.items()}, one_by_one):
        for name, found in outcomes(group, partial(run_together, folder=work_dir / data_set), debug):
            if isinstance(found, Exception):
                failed.append(f'{missing[name]}: {sentence(found) or type(found).__name__}')
            else:
                missing[name].keep(out / data_set, data_set, found)
    return failed


@dataclass(frozen=True)
class Run:
    """One method under one similarity, or one explainer, and the config of its run."""

    method: str
    similarity: str
    cfg: Config

    @property
    def name(self) -> str:
        """The stem of its files."""
        return '_'.join(filter(None, (self.method.replace(':', '-'), self.similarity)))

    def __str__(self) -> str:
        return ', '.join(filter(None, (self.method, self.similarity)))

    @cached_property
    def key(self) -> Key:
        """The key of its settings and data."""
        return key_of(self.cfg)

    def is_done(self, folder: Path) -> bool:
        """Whether its result is there and of today's settings, which is printed."""
        path = folder / f'{self.name}.json'
        try:
            done = path.is_file() and self.key.agrees(read_json(path)['run'])
        except (ValueError, KeyError, TypeError):  # a damaged one is run again
            done = False
        if done:
            print(f'{self}: there already', flush=True)
        return done

    def keep(self, folder: Path, data_set: str, results: Mapping[str, Any]) -> None:
        """Write its result, and print its figure."""
        stated = dict(method=self.method, similarity=self.similarity, data_set=data_set, **self.key.stated())
        written = {'run': stated, **results, 'protocol': shared_protocol(results)}
        write_results(folder / f'{self.name}.json', written)
        note = images_note(results)
        said = f'mSC {results["metrics"]["mSC"]:.2f}' + (f' ({note})' if note else '')
        print(f'{self}: {said}', flush=True)


def run_config(method: str, similarity: str, data_set: str, data_root: str | None = None) -> Config:
    """The config of one run.

    Raises:
        ValueError: an unknown method or explainer.
    """
    cfg = read_config(config_folder() / 'explain' / f'clipsurgery_{data_set}.py')
    if data_root:
        cfg.test_dataloader.dataset.data_root = data_root
    if similarity == EXPLAINER:
        explainer_named(method)
        cfg.model.backbone.surgery, cfg.model.decode_head.similarity = 'clip', 'cosine'
        cfg.model.test_cfg.explainer = method
        return cfg
    own = method_settings(method, data_set)
    cfg.model.backbone.surgery = own['surgery']
    if 'guide' in own:
        cfg.model.guide = own['guide']
    cfg.model.decode_head.similarity = similarity
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
    table = explain_table([read_result(path) for path in found])
    wanted = with_blocks(text, {data_set: table})
    if check and text != wanted:
        raise ValueError(f'{page} is not what {folder / data_set} says: run python tools/explain.py')
    if not check:
        atomic_write(page, lambda temporary: temporary.write_text(wanted, encoding='utf-8'))
    print(f'{len(found)} results in {folder / data_set}; table in {page}', flush=True)


def read_result(path: Path) -> dict[str, Any]:
    """A kept result. Raises ValueError for a file that is none."""
    result = read_json(path)
    with decoding(path, 'result of a run', 'remove it, and it is run again'):
        assert {'method', 'similarity'} <= result['run'].keys(), 'it names no method'
        explain_table([result])
    return result


def explain_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Results as Markdown: methods in the order of the leaderboard, then explainers in the order of their table.

    Those of other images than all are marked.
    """
    found = {(one['run']['method'], one['run']['similarity']): one for one in results}
    methods = methods_of(method for method, similarity in found if similarity != EXPLAINER)
    explained = [method for method, similarity in found if similarity == EXPLAINER]
    order = [*(name for name in EXPLAINERS if name in explained), *sorted(set(explained) - set(EXPLAINERS))]
    rows = [
        *(
            (method, key, methods[method]['title'], title)
            for method in methods
            for key, title in SIMILARITIES.items()
        ),
        *((name, EXPLAINER, title_of(name), '') for name in order),
    ]
    lines = [
        [title, said, *figures(found[method, key])]
        for method, key, title, said in rows
        if (method, key) in found
    ]
    return markdown(['method', 'similarity'], HEADS, lines)


def title_of(explainer: str) -> str:
    """An explainer's title; its name where this process does not know it."""
    return EXPLAINERS[explainer].title if explainer in EXPLAINERS else explainer


def figures(result: Mapping[str, Any]) -> list[str]:
    """The figures of one row, each with what must be known of its images."""
    note = images_note(result)
    formats = {'map_mIoU': '.2f', 'threshold': '.2f', 'mSC': '.2f', 'pairs': '.0f'}
    found = [f'{result["metrics"][name]:{digits}}' for name, digits in formats.items()]
    return [figure + (f' ({note})' if note else '') for figure in found]
