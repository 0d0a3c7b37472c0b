"""The suite of explainability: its runs, the order of its table, own methods."""

from mmseg_clipsurgery.leaderboard import explainability

import pytest

pytestmark = pytest.mark.mmseg
METRICS = {'map_mIoU': 70.126, 'threshold': 0.5, 'mSC': -3.2, 'pairs': 7.0}


def result(method: str, similarity: str) -> dict:
    return {'run': {'method': method, 'similarity': similarity}, 'metrics': METRICS}


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


def test_a_run_has_its_surgery_and_similarity():
    cfg = explainability.run_config('sclip', 'released', 'scenes')
    assert cfg.model.backbone.surgery == dict(name='sclip')
    assert cfg.model.decode_head.similarity == 'released'
    assert cfg.model.test_cfg.maps
    assert cfg.test_evaluator == dict(type='ExplainabilityMetric')


def test_an_unknown_method_is_an_error():
    with pytest.raises(ValueError, match='sclop'):
        explainability.run_config('sclop', 'cosine', 'scenes')
