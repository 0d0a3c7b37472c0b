"""Settings of `test_cfg` that are no number, or none in range, are refused by name."""

import math

from mmseg_clipsurgery.environment.numbers import check_count, check_number, check_positive, check_switch
from mmseg_clipsurgery.inference.settings import InferenceSettings, check_thresholds
from mmseg_clipsurgery.recognition import classes_kept
from mmseg_clipsurgery.vocabulary import Vocabulary

import numpy as np
import pytest
import torch

NO_NUMBERS = [math.nan, math.inf, -math.inf, True, False, 'abc', '0.5', [0.5], {}]
NAMES = ['logit_scale', 'prob_thd', 'area_thd']
SLIDE = dict(mode='slide', crop_size=8, stride=8)


@pytest.mark.parametrize('value', NO_NUMBERS, ids=repr)
@pytest.mark.parametrize('name', NAMES)
def test_what_is_no_number_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f'test_cfg.{name} must '):
        InferenceSettings.read({name: value}, patch=4)


@pytest.mark.parametrize('value', [0, -1, 1.5, math.nan, True, 'many'], ids=repr)
@pytest.mark.parametrize('name', ['window_batch', 'chunk_memory'])
def test_counts(name, value):
    with pytest.raises(ValueError, match=f'test_cfg.{name} must be a whole number >= 1'):
        InferenceSettings.read({name: value}, patch=4)


@pytest.mark.parametrize('name', ['scores', 'maps', 'compiled'])
@pytest.mark.parametrize('value', [1, 'yes', None, math.nan], ids=repr)
def test_switches(name, value):
    with pytest.raises(ValueError, match=f'test_cfg.{name} must be True or False'):
        InferenceSettings.read({name: value}, patch=4)


@pytest.mark.parametrize('value', [math.nan, (8, math.nan), (8, 8, 8), (8,), '88', True, (8.5, 8)], ids=repr)
@pytest.mark.parametrize('name', ['crop_size', 'stride'])
def test_sizes(name, value):
    with pytest.raises(ValueError, match=f'test_cfg.{name} must be (a whole|one) number'):
        InferenceSettings.read({**SLIDE, name: value}, patch=4)


@pytest.mark.parametrize(
    'pamr',
    [
        dict(iterations=math.nan, dilations=(8,)),
        dict(iterations=True, dilations=(8,)),
        dict(iterations=1.5, dilations=(8,)),
        dict(iterations=1, dilations=(math.inf,)),
        dict(iterations=1, dilations=(1.5,)),
        dict(iterations=1, dilations=8),
        dict(iterations=1, dilations=(10**9,)),
        dict(iterations=10**9, dilations=(8,)),
        dict(iterations=1, dilations=()),
        dict(iterations=1),
        [10, 8],
        'yes',
    ],
    ids=str,
)
def test_pamr(pamr):
    with pytest.raises(ValueError, match=r'test_cfg\.pamr must be like'):
        InferenceSettings.read(dict(pamr=pamr), patch=4)


def test_test_cfg_itself():
    with pytest.raises(ValueError, match='test_cfg must hold names and values, got'):
        InferenceSettings.read(['slide'], patch=4)


def test_numbers_of_numpy_pass():
    settings = dict(logit_scale=np.float32(40), prob_thd=np.float64(0.1), window_batch=np.int64(2))
    assert InferenceSettings.read(settings, patch=4).window_batch == 2


def test_the_checks_themselves():
    check_number('a', 0, 0, 1)
    check_count('a', 0, least=0)
    check_switch('a', value=False)
    with pytest.raises(ValueError, match='a must lie between 0 and 1, got 2'):
        check_number('a', 2, 0, 1)
    with pytest.raises(ValueError, match='a must be finite, got nan'):
        check_number('a', math.nan)
    with pytest.raises(ValueError, match='a must be above 0, got 0'):
        check_positive('a', 0)
    for value in (1e-31, 1e308):  # 0 and infinity in fp32
        with pytest.raises(ValueError, match=r'a must lie between 1e-30 and 1e\+30'):
            check_positive('a', value)
    with pytest.raises(ValueError, match='a must be a whole number from 1 to 3, got 4'):
        check_count('a', 4, most=3)


@pytest.mark.parametrize('value', [math.nan, True, '0.5', -1, 2], ids=repr)
def test_the_least_presence(value):
    with pytest.raises(ValueError, match='min_presence must'):
        classes_kept(torch.ones(2), value, has_background=False)


def test_the_background_without_its_name_is_told_how_to_be_written():
    words = Vocabulary.read([['sky', 'wall', 'tree', 'road'], 'cat'])
    with pytest.raises(ValueError, match=r"write 'background: sky, wall, tree, \.\.\.'"):
        check_thresholds(InferenceSettings(prob_thd=0.1), words)
