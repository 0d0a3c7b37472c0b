"""The table of explainability: made from results, checked against them."""

import json
from pathlib import Path

import explained
from mmseg_clipsurgery.cli import explain
from mmseg_clipsurgery.leaderboard import charts

import pytest

pytestmark = pytest.mark.mmseg
ROOT = Path(__file__).parents[2]


def test_the_committed_texts_agree_with_the_committed_results():
    arguments = ['--check', '--out', str(ROOT / 'results/explain'), '--page', str(ROOT / 'docs/explain.md')]
    assert explain.main(arguments) == 0


def test_why_every_run_failed_is_told(tmp_path, capsys):
    given = ['--data-sets', 'voc', '--data-root', 'voc=/no/such', '--explainers', 'clip']
    out = ['--out', str(tmp_path / 'out'), '--work-dir', str(tmp_path / 'logs')]
    assert explain.main([*given, *out]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('failed: clip on voc: the data root /no/such of ')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one result and a page with a block for it; nothing is drawn."""
    monkeypatch.setattr(charts, 'draw_costs', lambda panels, path: None)
    path = tmp_path / 'results/scenes/clip.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(explained.result('clip')))
    (tmp_path / 'page.md').write_text('<!-- table: scenes -->\n<!-- end table -->\n')
    return tmp_path


def test_tables_are_written_and_then_agree(folder, capsys):
    arguments = ['--out', str(folder / 'results'), '--page', str(folder / 'page.md')]
    assert explain.main([*arguments, '--check']) == 1
    error = capsys.readouterr().err
    assert 'is not what the results in' in error
    assert error.strip().endswith(
        f'say: python tools/explain.py --tables --out {folder / "results"} --page {folder / "page.md"}'
    )
    assert explain.main([*arguments, '--tables']) == explain.main([*arguments, '--check']) == 0
    for name in ('page.md', 'results/tables.md', 'results/figures.csv'):
        assert '70.1' in (folder / name).read_text()
