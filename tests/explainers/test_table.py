"""The table of explainers: its rows, its names, own rows."""

from mmseg_clipsurgery.explainers.table import EXPLAINERS, explainer_named
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

import pytest


def test_every_surgery_is_there_by_cosine_and_by_feature_surgery():
    for name, row in SURGERIES.items():
        assert EXPLAINERS[name].surgery == EXPLAINERS[f'{name}:released'].surgery == row
        assert EXPLAINERS[name].similarity == 'cosine'


def test_own_surgeries_are_explainers(monkeypatch):
    monkeypatch.setitem(SURGERIES, 'mine', Surgery(2, 'kk'))
    assert explainer_named('mine').surgery == explainer_named('mine:paper').surgery == Surgery(2, 'kk')
    assert explainer_named('mine:paper').similarity == 'paper'


@pytest.mark.parametrize('name', ['legrod', 'mine', 'clip:squared', 'legrad:released', None])
def test_an_unknown_name_is_an_error(name):
    with pytest.raises(
        ValueError, match=r'unknown explainer .*rclip, attention, .*legrad.*clip_surgery:released'
    ):
        explainer_named(name)
