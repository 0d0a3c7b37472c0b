"""The table of explainability: made from results, checked against them, runs that are left out."""

import json
from pathlib import Path

from mmseg_clipsurgery.cli import explain

import pytest

pytestmark = pytest.mark.mmseg
ROOT = Path(__file__).parents[2]
METRICS = {'map_mIoU': 70.126, 'threshold': 0.5, 'mSC': -3.2, 'pairs': 7.0}


def result(method: str, similarity: str) -> dict:
    return {'run': {'method': method, 'similarity': similarity}, 'metrics': METRICS, 'protocol': {}}


def test_the_committed_page_agrees_with_the_committed_results():
    arguments = ['--check', '--out', str(ROOT / 'results/explain'), '--page', str(ROOT / 'docs/explain.md')]
    assert explain.main(arguments) == 0


def test_a_page_that_differs_is_an_error(tmp_path, capsys):
    folder = tmp_path / 'results' / 'scenes'
    folder.mkdir(parents=True)
    (folder / 'clip_cosine.json').write_text(json.dumps(result('clip', 'cosine')))
    page = tmp_path / 'page.md'
    page.write_text('<!-- table: scenes -->\n<!-- end table -->\n')
    arguments = ['--check', '--out', str(tmp_path / 'results'), '--page', str(page)]
    assert explain.main(arguments) == 1
    assert 'run python tools/explain.py' in capsys.readouterr().err
