"""One test over all subjects: summaries, that explainers don't meet, what is refused."""

import judged
import tiny
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.faithfulness.floors import FLOORS
from mmseg_clipsurgery.faithfulness.run import TESTS, run_test, summary
from mmseg_clipsurgery.faithfulness.subjects import JudgedCLIP, Settings, Subject
from mmseg_clipsurgery.structures import TextQueries
from mmseg_clipsurgery.vocabulary import Vocabulary

import pytest
import torch

SETTINGS = Settings(seed=3, steps=4)


def test_a_summary_has_mean_and_standard_error():
    assert summary([1.0, 2.0, 3.0, 6.0]) == {'mean': 3.0, 'error': pytest.approx(1.08012), 'count': 4}
    assert summary([0.25]) == {'mean': 0.25, 'error': None, 'count': 1}


@pytest.mark.slow
@pytest.mark.parametrize('test', TESTS)
def test_explainers_do_not_meet_and_figures_come_again(test):
    rows = {'random': FLOORS['random'], 'clip': EXPLAINERS['clip'], 'attention': EXPLAINERS['attention']}
    subjects = judged.subjects()[: 4 if test == 'mosaic' else 2]
    every = run_test(test, judged.clip(), rows, subjects, SETTINGS)
    assert list(every) == list(rows)
    alone = run_test(test, judged.clip(), {'clip': rows['clip']}, subjects, SETTINGS)
    assert alone['clip'] == every['clip']
    assert every['clip'] != every['random']


@pytest.mark.slow
@pytest.mark.parametrize('test', ['deletion', 'prompts', 'one_stage'])
def test_surgeries_and_floors_work_on_a_resnet(test):
    tower = tiny.resnet('clip')

    def embed(words):
        return judged.normalize(tiny.images(len(words), tower.config['embed_dim'], seed=len(words)))

    vocabulary = Vocabulary.of([('a', ['a']), ('b', ['b'])])
    clip = JudgedCLIP(tower, vocabulary, TextQueries(embed('ab'), torch.tensor([0, 1])), embed, 100.0)
    inside = torch.zeros(clip.size, dtype=torch.bool)
    inside[:20] = True
    image = tiny.images(1, 3, *clip.size)[0]
    subject = Subject(image, inside, torch.ones_like(inside), 1, frozenset({0, 1}))
    rows = {**FLOORS, 'clip_surgery': EXPLAINERS['clip_surgery']}
    found = run_test(test, clip, rows, [subject], Settings(0, 2))
    assert list(found) == list(rows)
    assert len({len(figures) for figures in found.values()}) == 1
    assert found['clip_surgery'] != found['random'] != found['centre']


REFUSED = {
    'an unknown test': (lambda: run('x', 'clip'), "unknown test 'x'; choose of deletion, prompts"),
    'a ResNet': (
        lambda: run('prompts', 'legrad', tiny.resnet('clip')),
        'is a ResNet, .* class token of a ViT',
    ),
    'half precision': (
        lambda: run('deletion', 'grad_eclip', tiny.vit('clip', judged.ARCH).half()),
        r'gradients are taken in fp32, and the tower has weights of torch\.float16',
    ),
    'a second tower': (
        lambda: run('mosaic', 'proxyclip'),
        'reads the features of a second tower, which these tests do not give',
    ),
    'too many steps': (
        lambda: run('deletion', 'clip', steps=17),
        'steps must be at most the 16 cells of the map, got 17',
    ),
}


def run(test: str, explainer: str, tower=None, steps: int = 4):
    clip = judged.clip(tower=tower)
    return run_test(test, clip, {explainer: EXPLAINERS[explainer]}, judged.subjects(), Settings(0, steps))


@pytest.mark.parametrize(('action', 'message'), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_one_sentence(action, message):
    with pytest.raises(ValueError, match=message):
        action()
