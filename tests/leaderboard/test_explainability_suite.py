"""The suite of explainability: its runs, the order of its table, own methods."""

import json
import re

from mmseg_clipsurgery.cli.explain import BASELINES
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.leaderboard import explainability

import pytest

pytestmark = pytest.mark.mmseg
METRICS = {'map_mIoU': 70.126, 'threshold': 0.5, 'mSC': -3.2, 'pairs': 7.0}


def result(method: str, similarity: str) -> dict:
    return {'run': {'method': method, 'similarity': similarity}, 'metrics': METRICS, 'protocol': {}}


def test_rows_are_in_the_order_of_the_leaderboard():
    given = [
        result('mine', 'cosine'),
        result('clip_surgery', 'released'),
        result('clip', 'released'),
        result('clip', 'cosine'),
    ]
    rows = explainability.explain_table(given).splitlines()[2:]
    assert [row.split('|')[1:3] for row in rows] == [
        [' CLIP ', ' cosine '],
        [' CLIP ', ' feature surgery '],
        [' CLIP Surgery ', ' feature surgery '],
        [' mine ', ' cosine '],
    ]
    assert '70.13 | 0.50 | -3.20 | 7 |' in rows[0]


def test_a_result_of_a_part_of_the_images_is_marked():
    part = {**result('clip', 'cosine'), 'protocol': {'dataset': 'PascalVOCDataset', 'images': 100}}
    (row,) = explainability.explain_table([part]).splitlines()[2:]
    for figure in ('70.13', '0.50', '-3.20', '7'):
        assert f'| {figure} (100 of 1449 images) |' in row


def test_a_run_has_its_surgery_and_similarity():
    cfg = explainability.run_config('sclip', 'released', 'scenes')
    assert cfg.model.backbone.surgery == dict(name='sclip')
    assert cfg.model.decode_head.similarity == 'released'
    assert cfg.model.test_cfg.maps
    assert cfg.test_evaluator == dict(type='ExplainabilityMetric')


def test_explainers_stand_below_the_methods():
    given = [result('legrad', ''), result('rollout', ''), result('clip', 'cosine'), result('norms', '')]
    rows = explainability.explain_table(given).splitlines()[2:]
    titles = [row.split('|')[1].strip() for row in rows]
    assert titles == ['CLIP', 'attention rollout', 'LeGrad, last 2 blocks', 'norms']


def test_a_run_of_an_explainer():
    cfg = explainability.run_config('legrad', '', 'scenes')
    assert cfg.model.test_cfg.explainer == 'legrad'
    assert cfg.model.test_cfg.maps
    with pytest.raises(ValueError, match="unknown explainer 'legrod'"):
        explainability.run_config('legrod', '', 'scenes')
    names = {name: explainability.Run(name, '', cfg).name for name in ('legrad', 'clip:paper')}
    assert names == {'legrad': 'legrad', 'clip:paper': 'clip-paper'}


def test_the_tool_runs_every_explainer_that_is_no_surgery():
    assert set(BASELINES) == {'rclip', *(name for name, row in EXPLAINERS.items() if row.surgery is None)}


def test_an_unknown_method_is_an_error():
    with pytest.raises(ValueError, match='sclop'):
        explainability.run_config('sclop', 'cosine', 'scenes')


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Run the suite on some scenes under two methods; printed lines are those of `capsys`."""
    configured = explainability.run_config

    def few(*arguments):
        cfg = configured(*arguments)
        cfg.test_dataloader.dataset.indices = 3
        return cfg

    monkeypatch.setattr(explainability, 'run_config', few)

    def call(name: str, **options) -> list[str]:
        folder, logs = tmp_path / name, tmp_path / f'{name} logs'
        methods, explainers = ['clip', 'clip_surgery'], ['legrad', 'attention']
        return explainability.run_suite(methods, 'scenes', folder, logs, explainers=explainers, **options)

    return call


@pytest.mark.slow
def test_one_pass_gives_the_figures_of_one_by_one_and_goes_on_where_it_was(suite, tmp_path, capsys):
    assert suite('shared') == suite('single', one_by_one=True) == []
    shared, single = (
        {path.stem: json.loads(path.read_text()) for path in (tmp_path / name).rglob('*.json')}
        for name in ('shared', 'single')
    )
    assert sorted(shared) == sorted(single)
    assert len(shared) == 6
    for name, result in shared.items():
        assert len(result['one_pass']) == 6
        assert 'one_pass' not in single[name]
        for part in ('run', 'metrics', 'protocol', 'images'):
            assert result[part] == single[name][part], (name, part)
    assert len({json.dumps(one['metrics']) for one in shared.values()}) == 6  # the cells do differ
    (tmp_path / 'shared/scenes/clip_released.json').unlink()
    capsys.readouterr()
    assert suite('shared') == []
    said = capsys.readouterr().out.splitlines()
    (line,) = (line for line in said if 'there already' not in line)
    assert re.fullmatch(r'clip, released: mSC -?\d+\.\d\d \(3 of 200 images\)', line)
    again = json.loads((tmp_path / 'shared/scenes/clip_released.json').read_text())
    assert again['metrics'] == shared['clip_released']['metrics']


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_others_go_on(suite, tmp_path, monkeypatch):
    def broken(cfgs, folder):
        if 'clip_cosine' in cfgs:
            raise ValueError('no such\nmask')
        return {name: {'metrics': METRICS, 'protocol': {}} for name in cfgs}

    monkeypatch.setattr(explainability, 'run_together', broken)
    assert suite('out') == ['clip, cosine: no such mask']
    assert len(list((tmp_path / 'out/scenes').iterdir())) == 5


DAMAGED = {
    'cut': '{"run": ',
    'another thing': '[1]',
    'deep': '[' * 100_000,
    'no method': '{"run": {}, "metrics": {}}',
    'no figures': '{"run": {"method": "clip", "similarity": "cosine"}, "metrics": {"map_mIoU": "x"}}',
}


@pytest.mark.parametrize('content', DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_result_is_named(content, tmp_path):
    path = tmp_path / 'clip_cosine.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'clip_cosine\.json (is not a readable|holds a)'):
        explainability.read_result(path)
