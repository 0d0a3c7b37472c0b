"""OpenMMLab's index of models: a file a method, whose figures are those of `results/`."""

import json

import doc_blocks
from mmseg_clipsurgery.surgery import SURGERIES

import pytest
import yaml

INDEX = yaml.safe_load((doc_blocks.ROOT / 'model-index.yml').read_text())['Import']
METHODS = {path.rpartition('/')[2].removesuffix('.yml'): doc_blocks.ROOT / path for path in INDEX}


def test_every_method_has_a_file():
    assert set(METHODS) == set(SURGERIES)


@pytest.mark.parametrize('method', METHODS)
def test_it_names_what_exists_and_the_figures_that_were_measured(method):
    found = yaml.safe_load(METHODS[method].read_text())
    (collection,) = found['Collections']
    assert (doc_blocks.ROOT / collection['README']).is_file()
    measured = doc_blocks.ROOT / 'results' / 'scenes' / f'{method}.json'
    figures = [result for model in found['Models'] for result in model.get('Results', [])]
    assert bool(figures) == measured.is_file()
    for model in found['Models']:
        assert (doc_blocks.ROOT / model['Config']).is_file()
        assert model['In Collection'] == collection['Name']
        assert model['Metadata']['Options'] == f'model.backbone.surgery={method}'
    for result in figures:
        assert result['Metrics']['mIoU'] == json.loads(measured.read_text())['metrics']['mIoU']
