"""Prompt sensitivity: rivals, closed forms, explainers that read no text, what no rival is there for."""

import random

import judged
from mmseg_clipsurgery.explainers.explainer import Explainer
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.faithfulness.floors import FLOORS
from mmseg_clipsurgery.faithfulness.maps import at_size
from mmseg_clipsurgery.faithfulness.prompts import compared, other_classes, pixel_precision, prompts
from mmseg_clipsurgery.faithfulness.subjects import Settings
from mmseg_clipsurgery.vocabulary import Vocabulary

import pytest
import torch

GRID = (4, 4)
LEFT = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(GRID)  # the word's mask


def test_a_map_equal_to_its_rival_gains_nothing():
    found = compared(torch.stack([LEFT, LEFT, -LEFT]), ['present', 'absent'], judged.subject(0, 0, 1))
    assert found['AP'] == 1
    assert found['chance'] == 0.5
    assert (found['present rho'], found['present drop']) == (1, 0)
    assert (found['absent rho'], found['absent drop']) == pytest.approx((-1, 1 - pixels(-LEFT)))
    assert found['flat'] == 0


def pixels(values: torch.Tensor) -> float:
    return pixel_precision(at_size(values[None], (16, 16))[0], judged.subject(0, 0))


def test_a_flat_map_has_the_precision_of_chance():
    found = compared(torch.zeros(2, *GRID), ['gibberish'], judged.subject(0, 0))
    assert (found['AP'], found['flat'], found['gibberish rho'], found['gibberish drop']) == (0.5, 1, 0, 0)


def test_ignored_pixels_do_not_count():
    subject = judged.subject(0, 0)
    subject.counts[:, 4:] = False
    subject.counts[0, 12] = True
    values = torch.rand(16, 16)
    values[0, 12] = 2
    wanted = sum(i / (i + 1) for i in range(1, 65)) / 64  # one wrong pixel above 64 right ones
    assert pixel_precision(values, subject) == pytest.approx(wanted)


@pytest.fixture(scope='module')
def found():
    names = ('attention', 'rollout', 'clip', 'clip:released', 'legrad')
    rows = {**FLOORS, **{name: EXPLAINERS[name] for name in names}}
    figures: dict[str, list] = {name: [] for name in rows}
    for name, one in prompts(judged.clip(), rows, judged.subjects(), Settings()):
        figures[name].append(one)
    return figures


@pytest.mark.slow
@pytest.mark.parametrize('name', ['attention', 'rollout', 'centre'])
def test_explainers_that_read_no_text_have_rho_1_and_drop_0(found, name):
    assert len(found[name]) == 5
    for figures in found[name]:
        for other in ('present', 'absent', 'gibberish'):
            assert figures.get(f'{other} rho', 1) == pytest.approx(1)
            assert figures.get(f'{other} drop', 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize('name', ['random', 'clip', 'clip:released', 'legrad'])
def test_others_are_told_apart_by_their_words(found, name):
    rhos = [figures[f'{other} rho'] for figures in found[name] for other in ('absent', 'gibberish')]
    assert all(rho < 0.999 for rho in rhos)


@pytest.mark.slow
def test_a_prompt_that_there_is_none_of_has_no_figure(found):
    *alone, two = found['clip']
    assert not any('present rho' in figures for figures in alone)
    assert 'present rho' in two
    one_word = judged.clip(Vocabulary.of([('a', ['a'])]))
    assert other_classes(one_word, judged.subject(0, 0), random.Random(0)) == {}
    ((_, figures),) = prompts(one_word, {'clip': EXPLAINERS['clip']}, judged.subjects()[:1], Settings())
    assert {key for key in figures if 'rho' in key} == {'gibberish rho'}


def test_a_map_with_nan_is_refused_by_name():
    broken = Explainer('mine', lambda walk, text: torch.full((1, len(text), *walk.grid), torch.nan))
    with pytest.raises(ValueError, match='the explainer mine gives maps with NaN'):
        list(prompts(judged.clip(), {'mine': broken}, judged.subjects()[:1], Settings()))
