"""Results of faithfulness: what is run again, what is kept, tables of them, and the page that is committed."""

import json
from pathlib import Path

import judged
from mmseg_clipsurgery.cli import faithfulness as command
from mmseg_clipsurgery.evaluation.audit import config_of
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.faithfulness.run import TESTS
from mmseg_clipsurgery.faithfulness.subjects import Settings
from mmseg_clipsurgery.leaderboard import faithfulness, faithfulness_tables

import pytest

pytestmark = pytest.mark.mmseg
ROOT = Path(__file__).parents[2]
PAGE = ['--page', str(ROOT / 'docs/faithfulness.md'), '--out', str(ROOT / 'results/faithfulness')]


def test_the_committed_page_agrees_with_the_committed_results():
    assert command.main([*PAGE, '--check']) == 0


def test_the_committed_result_has_every_test_of_every_usual_explainer():
    record = faithfulness.read_result(ROOT / 'results/faithfulness/scenes/results.json')
    assert set(record['explainers']) == {'random', 'centre', *command.USUAL}
    assert all(set(row['tests']) == set(TESTS) for row in record['explainers'].values())
    assert record['subjects'] == record['run']['images']


def test_the_command_offers_the_tests_that_there_are():
    assert set(TESTS) == set(command.TESTS)
    assert set(command.USUAL) <= set(EXPLAINERS)


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Run on the tiny CLIP and its subjects; (what failed, the record)."""
    monkeypatch.setattr(faithfulness, 'ready', lambda *given: (judged.clip(), judged.subjects()))
    cfg, settings = config_of('scenes'), Settings(0, 2)

    def call(explainers=('clip', 'attention'), tests=('prompts', 'mosaic'), settings=settings):
        given = [cfg, 'tiny', explainers, tests, settings, 5, tmp_path, 'cpu']
        failed = faithfulness.run_suite(*given)
        return failed, json.loads((tmp_path / 'tiny/results.json').read_text())

    return call


@pytest.mark.slow
def test_what_is_there_is_not_run_again(suite, capsys):
    failed, first = suite()
    assert failed == []
    assert list(first['explainers']) == ['random', 'centre', 'clip', 'attention']
    assert capsys.readouterr().out.splitlines()[-2:] == [
        'prompts: 4 explainers on 5 images',
        'mosaic: 4 explainers on 5 images',
    ]
    assert suite()[1] == first
    assert 'there already' in capsys.readouterr().out
    _, more = suite(explainers=('clip', 'rclip'), tests=('prompts',))
    assert capsys.readouterr().out.splitlines() == ['prompts: 1 explainers on 5 images']
    assert {name: more['explainers'][name] for name in first['explainers']} == first['explainers']
    assert list(more['explainers']['rclip']['tests']) == ['prompts']
    _, other = suite(tests=('prompts',), settings=Settings(1, 2))
    assert list(other['explainers']) == ['random', 'centre', 'clip', 'attention']
    assert other['run']['seed'] == 1


@pytest.mark.slow
def test_a_test_that_fails_is_named_and_the_others_are_kept(suite, monkeypatch):
    def broken(*given):
        raise ValueError('no such mosaic')

    monkeypatch.setitem(TESTS, 'mosaic', broken)
    failed, record = suite(tests=('mosaic', 'prompts'))
    assert failed == ['mosaic: no such mosaic']
    assert list(record['explainers']['clip']['tests']) == ['prompts']


REFUSED = {
    'an unknown explainer': (dict(explainers=['legrod']), "unknown explainer 'legrod'"),
    'an unknown test': (dict(tests=['sanity']), "unknown test 'sanity'; choose of deletion"),
    'a second tower': (dict(explainers=['proxyclip']), 'reads the features of a second tower'),
}


@pytest.mark.parametrize(('given', 'message'), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_not_be_run_is_refused_before_anything_is(suite, given, message):
    with pytest.raises(ValueError, match=message):
        suite(**given)


SUMMARY = {'mean': 0.12345, 'error': 0.011, 'count': 4}


def result(**tests: dict) -> dict:
    """A result of one explainer."""
    row = {'title': 'Mine', 'reads_text': True, 'source': None, 'tests': tests}
    run = {'config': 'x', 'seed': 0, 'steps': 2, 'images': 4}
    return {'run': run, 'subjects': 4, 'explainers': {'mine': row}}


def test_a_table_has_the_figures_with_their_errors():
    table = faithfulness_tables.table(
        result(mosaic={'energy': SUMMARY, 'pointing': {**SUMMARY, 'error': None}}), 'mosaic'
    )
    assert table.splitlines()[0] == '| explainer | energy | pointing |'
    assert table.splitlines()[2] == '| Mine | 12.3 ± 1.1 | 12.3 |'


def test_a_prompt_that_no_image_had_is_empty():
    figures = {'AP': SUMMARY, 'gibberish rho': SUMMARY, 'gibberish drop': SUMMARY}
    row = faithfulness_tables.table(result(prompts=figures), 'prompts').splitlines()[2]
    assert row == '| Mine | 12.3 | | | | | 0.12 | 12.3 ± 1.1 |'


def test_the_columns_of_the_cascade_are_its_stages():
    stages = {f'{stage} {kind}': SUMMARY for stage in ('pool', 'input') for kind in ('rho', 'SSIM', 'floor')}
    head = faithfulness_tables.table(result(randomisation=stages), 'randomisation').splitlines()[0]
    assert head == '| explainer | pool | input | floor | SSIM |'
    alone = {figure: SUMMARY for figure in stages if 'floor' not in figure}
    head = faithfulness_tables.table(result(one_stage=alone), 'one_stage').splitlines()[0]
    assert head == '| explainer | pool | input |'


def test_a_page_that_differs_is_an_error(tmp_path, capsys):
    (tmp_path / 'scenes').mkdir()
    (tmp_path / 'scenes/results.json').write_text(
        json.dumps(result(mosaic={'energy': SUMMARY, 'pointing': SUMMARY}))
    )
    page = tmp_path / 'page.md'
    page.write_text('<!-- table: mosaic -->\n<!-- end table -->\n')
    arguments = ['--out', str(tmp_path), '--page', str(page)]
    assert command.main([*arguments, '--check']) == 1
    assert 'run python tools/faithfulness.py --page' in capsys.readouterr().err
    assert command.main([*arguments, '--check', '--config', 'none']) == 1
    assert 'there is no result' in capsys.readouterr().err


DAMAGED = {'cut': '{"run": ', 'another thing': '[1]', 'no figures': '{"run": {}, "explainers": {}}'}


@pytest.mark.parametrize('content', DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_result_is_named_and_run_again(content, tmp_path):
    path = tmp_path / 'scenes.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'scenes\.json (is not a readable|holds a)'):
        faithfulness.read_result(path)
    assert faithfulness.record_of(path, {'seed': 0}) == {'run': {'seed': 0}, 'explainers': {}}
