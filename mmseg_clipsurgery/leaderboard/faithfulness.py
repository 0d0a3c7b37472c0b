"""Tests of faithfulness on a config's data set: what is asked, what is kept, tables of it.

A result is one JSON file of a config, kept whole after every test:

    {"run": settings, "explainers": {name: {"title", "reads_text", "source", "tests": {test: {figure: summary}}}}, ...}

A start under the same settings runs what is missing alone; under others it begins anew. The floors, which explain
nothing, are rows of every result.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..clip.logit_scale import own_logit_scale
from ..environment.extensions import digest_of
from ..environment.files import decoding, read_json
from ..environment.mistakes import concerns_all, sentence
from ..evaluation import calibration_data as data
from ..evaluation.preflight import ignore_index_of
from ..evaluation.results import write_results
from ..explainers.explainer import Explainer
from ..explainers.table import explainer_named
from ..faithfulness.floors import FLOORS
from ..faithfulness.run import TESTS, check, run_test
from ..faithfulness.subjects import JudgedCLIP, Settings, Subject, draw_subjects
from ..vocabulary import Vocabulary
from .faithfulness_tables import tables_of
from .keys import key_of, refuse_earlier_scenes

RESULTS = 'results.json'  # in a folder of its config's name


def run_suite(
    cfg: Config,
    name: str,
    explainers: Sequence[str],
    tests: Sequence[str],
    settings: Settings,
    images: int,
    out: Path,
    device: str,
    debug: bool = False,
) -> list[str]:
    """Run what is missing of a result.

    Args:
        cfg: whose model, words and data set.
        name: of the config; the result is OUT/NAME/results.json.
        explainers: names of `EXPLAINERS`; the floors are added.
        tests: names of `TESTS`.
        settings: seed and steps.
        images: how many subjects are drawn.
        out: folder of results.
        device: where the model runs.
        debug: let the error of a test through.

    Returns:
        A line for each test that failed.

    Raises:
        ValueError, FileNotFoundError: unknown names, a tower that an explainer does not fit, a data set that is not
            there or has no words.
    """
    rows = {**FLOORS, **{one: explainer_named(one) for one in explainers}}
    if strange := [test for test in tests if test not in TESTS]:
        raise ValueError(f'unknown test {strange[0]!r}; choose of {", ".join(TESTS)}')
    stated = {'config': name, **key_of(cfg).stated(), **settings._asdict(), 'images': images}
    path = out / name / RESULTS
    record = record_of(path, stated)
    missing = {test: wanted for test in tests if (wanted := missing_rows(record, rows, test))}
    if not missing:
        print(f'{path}: there already', flush=True)
        return []
    clip, subjects = ready(cfg, images, settings.seed, device)
    for row in rows.values():
        check(row, clip)
    record['subjects'] = len(subjects)
    failed = []
    for test, wanted in missing.items():
        try:
            add(record, wanted, test, run_test(test, clip, wanted, subjects, settings))
        except ValueError as error:
            if debug or concerns_all(error):
                raise
            failed.append(f'{test}: {sentence(error)}')
            continue
        write_results(path, record)
        print(f'{test}: {len(wanted)} explainers on {len(subjects)} images', flush=True)
    return failed


def ready(cfg: Config, images: int, seed: int, device: str) -> tuple[JudgedCLIP, list[Subject]]:
    """The CLIP of a config with its words, and subjects of the data set that it is evaluated on."""
    dataset, segmentor = data.build_own_split(cfg), data.build_segmentor(cfg, device)
    vocabulary = segmentor.vocabulary or Vocabulary.of(
        [(word, [word]) for word in dataset.metainfo['classes']]
    )
    text = segmentor.text_encoder
    clip = JudgedCLIP(
        segmentor.backbone,
        vocabulary,
        text(vocabulary),
        text.embed_words,
        own_logit_scale(text.source.weights),
    )
    places = data.shuffled(len(dataset), seed)
    labelled = data.labelled_images(cfg, segmentor, dataset, places, vocabulary.classes, vocabulary)
    return clip, draw_subjects(clip, labelled, images, seed, ignore_index_of(cfg))


def record_of(path: Path, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The result that is there, if it is whole and of these settings; else a new one."""
    try:
        record = read_result(path) if path.is_file() else {}
    except ValueError as error:  # a damaged one, or one of earlier scenes, is run again
        print(error, flush=True)
        record = {}
    if record.get('run') == stated:
        return record
    return {'run': dict(stated), 'explainers': {}}


def missing_rows(record: Mapping[str, Any], rows: Mapping[str, Explainer], test: str) -> dict[str, Explainer]:
    """The explainers that a result has no figures of, or whose own file has changed since."""
    kept = record['explainers']
    return {
        name: row
        for name, row in rows.items()
        if name not in kept or kept[name]['source'] != source_of(name) or test not in kept[name]['tests']
    }


def add(record: dict[str, Any], rows: Mapping[str, Explainer], test: str, found: Mapping[str, Any]) -> None:
    """Put a test's figures into a result; those of a row whose own file has changed go."""
    for name, row in rows.items():
        entry = record['explainers'].get(name)
        if entry is None or entry['source'] != source_of(name):
            entry = {'title': row.title, 'reads_text': row.reads_text, 'source': source_of(name), 'tests': {}}
            record['explainers'][name] = entry
        entry['tests'][test] = found[name]


def source_of(name: str) -> str | None:
    """SHA-256 of the own file that added an explainer, or the surgery whose maps it gives; None: it is shipped."""
    return digest_of('explainer', name) or digest_of('surgery', name.partition(':')[0])


def read_result(path: Path) -> dict[str, Any]:
    """A kept result. Raises ValueError for a file that is none, FileNotFoundError where there is none."""
    if not path.is_file():
        raise FileNotFoundError(f'there is no result {path}; run python tools/faithfulness.py first')
    result = read_json(path)
    with decoding(path, 'result of faithfulness', 'remove it, and it is run again'):
        assert {'config', 'seed', 'images'} <= result['run'].keys(), 'it does not say what was run'
        tables_of(result)
    refuse_earlier_scenes(path, result['run'])
    return result
