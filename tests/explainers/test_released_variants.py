"""The variants of explainers that `docs/explain.md` measures (`results/variants`), and their results."""

import json
import re

import doc_blocks
import own_files
import tiny
from mmseg_clipsurgery.environment.extensions import import_file
from mmseg_clipsurgery.explainers.explainer import explain_together
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.similarity import normalize

import pytest

FILE = doc_blocks.ROOT / 'results' / 'variants' / 'explainer_variants.py'
RESULTS = doc_blocks.ROOT / 'results' / 'variants' / 'scenes' / 'results.json'
TOWER = tiny.changed(tiny.SMALL, vision_cfg={'layers': 6})  # CLIP Surgery reads six blocks
OWN = {  # variant -> the row that it stands beside
    'attention_one_head': 'attention',
    'rollout_last': 'rollout',
    'grad_eclip_projected': 'grad_eclip',
    'grad_eclip_released': 'grad_eclip_one_head',
    'grad_eclip_without_keys': 'grad_eclip',
    'grad_cam_softmax': 'grad_cam',
    'grad_cam_before_norm': 'grad_cam',
    'relevance_all_scale_1': 'relevance_all',
    'legrad_balanced': 'legrad_all',
    'surgery_token_norm': 'clip_surgery:released',
}


@pytest.mark.slow
def test_each_variant_is_another_map_than_the_row_it_stands_beside():
    before = set(EXPLAINERS)
    with own_files.forgotten():
        import_file(FILE)
        assert set(EXPLAINERS) - before == set(OWN)
        rows = {name: EXPLAINERS[name] for name in (*OWN, *OWN.values())}
        text = normalize(tiny.images(3, TOWER['embed_dim'], seed=5))
        maps = explain_together(rows, tiny.vit('clip', TOWER), tiny.images(2, 3, 12, 16), text)
    for name, shipped in OWN.items():
        assert maps[name].shape == maps[shipped].shape
        ours, theirs = (maps[one] / maps[one].abs().max() for one in (name, shipped))
        assert (ours - theirs).abs().max() > 0.01, name


def test_the_page_has_the_command_and_the_figures_of_the_results():
    page = (doc_blocks.ROOT / 'docs' / 'explain.md').read_text(encoding='utf-8')
    record = json.loads(RESULTS.read_text(encoding='utf-8'))
    command = page.split('--import results/variants/explainer_variants.py')[1].split('```')[0]
    named = command.split('--explainers')[1].replace('\\', ' ').split()
    assert set(record['explainers']) == {'random', 'centre', *named}
    assert set(OWN) <= set(named)
    assert f'--images {record["run"]["images"]} ' in command
    traps = page.split('### Traps of released codes')[1].split('### How to read')[0]
    measured = {f'{100 * row["tests"]["prompts"]["AP"]["mean"]:.1f}' for row in record['explainers'].values()}
    stated = {figure for pair in re.findall(r'AP (\d\d\.\d) -> (\d\d\.\d)', traps) for figure in pair}
    assert len(stated) > 10
    assert stated <= measured
