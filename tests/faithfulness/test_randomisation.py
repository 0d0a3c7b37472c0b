"""Weight randomisation: stages, draws, maps that read no weights, and a tower that stays as it was."""

import judged
import tiny
from mmseg_clipsurgery.explainers.explainer import Explainer
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.faithfulness.floors import FLOORS
from mmseg_clipsurgery.faithfulness.randomisation import one_stage, randomisation, redraw
from mmseg_clipsurgery.faithfulness.subjects import Settings

import pytest
import torch
from torch import nn

STAGES = ['output', 'block 3', 'block 2', 'block 1', 'input']


def ordered(names: dict, weights: list) -> list[str]:
    return [names[id(weight)] for weight in weights]


def test_stages_of_a_vit_hold_every_weight_once():
    tower = tiny.vit('clip', tiny.SMALL)
    names = {id(weight): name for name, weight in tower.visual.named_parameters()}
    stages = {stage: ordered(names, weights) for stage, weights in tower.stages.items()}
    assert list(stages) == STAGES
    assert sorted(name for weights in stages.values() for name in weights) == sorted(names.values())
    assert set(stages['output']) == {'proj', 'ln_post.weight', 'ln_post.bias'}
    assert 'positional_embedding' in stages['input']
    assert all(name.startswith('transformer.resblocks.2.') for name in stages['block 3'])


@pytest.mark.slow
def test_stages_of_a_resnet():
    stages = tiny.resnet('clip').stages
    assert list(stages) == ['pool', 'layer 4', 'layer 3', 'layer 2', 'layer 1', 'input']
    assert all(stages.values())


def test_draws_have_the_mean_and_deviation_of_the_weights_and_belong_to_their_seed():
    first, second = nn.Parameter(3 + 2 * torch.randn(100, 100)), nn.Parameter(torch.tensor(4.6))
    before = first.detach().clone()
    redraw([first, second], 'a')
    after = first.detach()
    assert float(after.mean()) == pytest.approx(float(before.mean()), abs=0.1)
    assert float(after.std()) == pytest.approx(float(before.std()), rel=0.05)
    assert abs(float(torch.corrcoef(torch.stack([after.flatten(), before.flatten()]))[0, 1])) < 0.05
    assert second.item() == pytest.approx(4.6)
    drawn = []
    for seed in ('a', 'a', 'b'):
        weight = nn.Parameter(before.clone())
        redraw([weight], seed)
        drawn.append(weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.fixture(scope='module')
def found():
    """Explainer -> figures of every stage, over one subject; and whether the tower stayed as it was."""
    clip = judged.clip()
    before = {name: value.clone() for name, value in clip.tower.state_dict().items()}
    rows = {name: EXPLAINERS[name] for name in ('clip', 'attention', 'legrad')}
    blind = Explainer(
        'colours', lambda walk, text: torch.nn.functional.avg_pool2d(walk.images, 4)[:, :1], reads_text=False
    )
    figures: dict[str, dict] = {}
    for name, one in randomisation(
        clip, {**FLOORS, 'colours': blind, **rows}, judged.subjects()[:1], Settings()
    ):
        figures.setdefault(name, {}).update(one)
    assert all(torch.equal(value, before[name]) for name, value in clip.tower.state_dict().items())
    return figures


@pytest.mark.slow
@pytest.mark.parametrize('name', ['random', 'centre', 'colours'])
def test_maps_that_read_no_weights_stay_as_they_are(found, name):
    assert list(found[name]) == [
        f'{stage} {figure}' for stage in STAGES for figure in ('rho', 'SSIM', 'floor')
    ]
    assert all(value == pytest.approx(1) for value in found[name].values())


@pytest.mark.slow
@pytest.mark.parametrize('name', ['clip', 'legrad'])
def test_maps_that_read_them_change_at_once(found, name):
    assert all(found[name][f'{stage} rho'] < 0.95 for stage in STAGES)


@pytest.mark.slow
def test_a_stage_alone_changes_what_reads_it(found):
    """And leaves alone what does not."""
    rows = {'attention': EXPLAINERS['attention'], 'random': FLOORS['random']}
    alone: dict[str, dict] = {name: {} for name in rows}
    for name, one in one_stage(judged.clip(), rows, judged.subjects()[:1], Settings()):
        alone[name] |= one
    assert all(value == pytest.approx(1) for value in alone['random'].values())
    assert alone['attention']['output rho'] == pytest.approx(1)
    changed = [alone['attention'][f'{stage} rho'] for stage in STAGES[1:]]
    assert all(rho < 0.99 for rho in changed)
    assert changed[0] != pytest.approx(changed[1])


@pytest.mark.slow
def test_attention_does_not_read_the_output_stage(found):
    assert found['attention']['output rho'] == pytest.approx(1)
    assert found['attention']['block 3 rho'] < 0.95
