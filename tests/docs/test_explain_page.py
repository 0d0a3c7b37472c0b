"""The page on explanation defines every figure that the metrics of maps give."""

import doc_blocks
from mmseg_clipsurgery.evaluation.metrics.map_panel import WIDTH
from mmseg_clipsurgery.evaluation.metrics.panel_means import panel
from mmseg_clipsurgery.evaluation.metrics.point_labels import COLUMNS, point_metrics

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.mmseg
PAGE = (doc_blocks.ROOT / 'docs' / 'explain.md').read_text(encoding='utf-8')
FIGURES = [*panel(torch.ones(2, 1, WIDTH)), *point_metrics(np.ones((1, len(COLUMNS))))]


@pytest.mark.parametrize('name', dict.fromkeys(FIGURES))
def test_it_is_defined(name):
    assert f'`{name}`' in PAGE
