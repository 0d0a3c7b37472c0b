"""A short, seeded sample of the campaign (all: `python tests/campaign`), and whether its runner tells the faults."""

import importlib
import os
import signal
import time
from types import SimpleNamespace

from campaign import __main__ as campaign
from campaign import runner
from campaign.inputs import Lost, require

import pytest

pytestmark = pytest.mark.mmseg

SAMPLE = {
    'weights': 40,
    'model_folders': 25,
    'images': 60,
    'masks': 12,
    'words': 80,
    'records': 8,
    'imports': 40,
}
SAMPLE |= {'settings': 6}


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'count'), SAMPLE.items(), ids=SAMPLE.keys())
def test_sample(name, count, tmp_path, monkeypatch):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path / 'cache'))
    kind = importlib.import_module(f'campaign.{name}')
    context = kind.prepare()
    found = [runner.tried(kind, context, 7, number) for number in range(count)]
    assert not [one for one in found if one['outcome'] in runner.FAULTS]
    assert {one['outcome'] for one in found} == {'accepted', 'refused'}


def executed(context, given):
    given.mark.touch()
    raise ValueError('got code; give tensors')


def raises(error):
    def trial(context, given):
        raise error

    return trial


TRIALS = {
    'accepted': lambda context, given: None,
    'refused': raises(ValueError('got 3; give 4')),
    'wrong': lambda context, given: require(1 > 2, 'other labels'),
    'lost': raises(Lost('a file')),
    'executed': executed,
    'hang': lambda context, given: time.sleep(60),
    'traceback': raises(KeyError('visual')),
    'traceback of memory': lambda context, given: bytearray(1 << 40),
    'traceback of a process that dies': lambda context, given: os.kill(os.getpid(), signal.SIGKILL),
    'traceback without a sentence': raises(ValueError('')),
    'traceback of a module': raises(ModuleNotFoundError('no x', name='x')),
}


@pytest.mark.parametrize('name', TRIALS)
def test_outcomes(name):
    kind = SimpleNamespace(__name__='kind', LIMIT=0.3, prepare=lambda: None, trial=TRIALS[name])
    found = list(runner.tried_in_workers(kind, 0, range(2)))
    assert [one['number'] for one in found] == [0, 1]
    assert {one['outcome'] for one in found} == {name.split()[0]}


def test_a_second_start_goes_on_and_a_fault_fails(tmp_path, monkeypatch, capsys):
    asked = []

    def trial(context, given):
        asked.append(given.random.random())
        require(len(asked) < 3, 'the third is wrong')

    kind = SimpleNamespace(__name__='kind', prepare=lambda: None, trial=trial)
    monkeypatch.setattr(campaign, 'kind_of', lambda name: kind)
    monkeypatch.setattr(
        campaign,
        'tried_in_workers',
        lambda kind, seed, numbers: (runner.tried(kind, None, seed, number) for number in numbers),
    )
    words = ['--kinds', 'words', '--out', str(tmp_path), '--inputs']
    assert campaign.main([*words, '2']) == 0
    assert campaign.main([*words, '2']) == 0
    assert len(asked) == 2
    assert campaign.main([*words, '3']) == 1
    assert '| words | 3 | 0 | 0 | 1 | 0 | 0 | 2 | 0 |' in capsys.readouterr().out
    assert len(set(asked)) == 3
