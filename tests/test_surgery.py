"""Surgeries as data: the table of the design, what is legal, and what an illegal value gets."""

import copy
import dataclasses
import json
import pickle

import rows
from mmseg_clipsurgery import SURGERIES, Surgery
from mmseg_clipsurgery.affinities import AFFINITIES
from mmseg_clipsurgery.attention import Affinity
from mmseg_clipsurgery.surgery import POSITIONS, RELEASED

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import ConfigDict

legal_fields = st.fixed_dictionaries(
    {
        'last_blocks': st.integers(0, 40),
        'affinity': st.sampled_from(rows.BLOCK_AFFINITIES),
        'residual': st.booleans(),
        'ffn': st.booleans(),
        'position': st.sampled_from(POSITIONS),
    }
)
# last blocks, affinity, residual, ffn, position; None: not read
TABLE = {
    'clip': (0, None, None, None, 'bicubic_scale'),
    'maskclip': (1, 'identity', True, True, 'bicubic_scale'),
    'clip_surgery': (6, 'vv', True, False, 'bilinear'),
    'sclip': (1, 'qq+kk', True, True, 'bicubic_scale'),
    'clearclip': (1, 'qq', False, False, 'bicubic_scale'),
    'naclip': (1, 'kk+gauss', False, False, 'bicubic_scale'),
    'gem': (6, 'gem', True, False, 'bicubic_antialias'),
    'scclip': (1, 'kk&mid', False, False, 'bicubic_scale'),
    'sfp': (1, 'qq&kk&mid_cut', False, False, 'bicubic_scale'),
    'resclip': (1, 'kk+gauss&cross', False, False, 'bicubic_scale'),
    'rfclip': (1, 'kk_mean', False, False, 'bicubic_scale'),
    'proxyclip': (1, 'guide', False, False, 'bicubic_scale'),
}


@pytest.mark.parametrize('name', TABLE)
def test_the_rows_are_the_designs(name):
    for found, wanted in zip(dataclasses.astuple(SURGERIES[name])[:5], TABLE[name], strict=True):
        assert wanted is None or found == wanted


def test_there_are_no_other_rows():
    assert set(SURGERIES) == set(TABLE)


@pytest.mark.parametrize('name', SURGERIES)
def test_shipped_rows_name_affinities_that_exist(name):
    """Rows are not checked as the module is read, which must not import torch."""
    assert SURGERIES[name].affinity in AFFINITIES


def test_a_row_of_ones_own_is_used_by_its_name(monkeypatch):
    monkeypatch.setitem(AFFINITIES, 'mine', Affinity('kv', weights=AFFINITIES['kk'].weights))
    monkeypatch.setitem(SURGERIES, 'mine', Surgery(2, 'mine', residual=False))
    assert Surgery.read('mine') == Surgery(2, 'mine', residual=False)
    assert Surgery.read('mine').name == 'mine'


def test_a_surgery_without_a_row_is_named_by_its_fields():
    assert SURGERIES['gem'].name == 'gem'
    assert Surgery(3, 'kk').name.startswith("Surgery(last_blocks=3, affinity='kk'")


@given(fields=legal_fields)
def test_every_combination_is_legal(fields):
    surgery = Surgery.read(fields)
    assert dataclasses.asdict(surgery) == {**fields, 'reads': (), 'each_block': None, 'constants': {}}
    assert Surgery.read(surgery) is surgery
    assert Surgery.read(ConfigDict(fields)) == surgery  # what a config hands over


@pytest.mark.parametrize('name', SURGERIES)
def test_shipped_rows_hold_all_their_constants_and_no_others(name):
    """They are not completed as other surgeries are, see above."""
    row = SURGERIES[name]
    assert dataclasses.replace(row).constants == row.constants
    assert all(RELEASED[constant] == value for constant, value in row.constants.items())


def test_constants_that_are_left_out_are_the_released_ones():
    row = dataclasses.replace(SURGERIES['resclip'], constants=dict(cross=[2.0, 0.6]))
    assert row.constants == dict(depth=12, cross=(2.0, 0.6), cross_blocks=(6, 9))
    assert dataclasses.replace(SURGERIES['resclip'], constants={}) == SURGERIES['resclip']


def test_constants_are_part_of_equality_but_not_of_the_hash():
    row = dataclasses.replace(SURGERIES['rfclip'], constants=dict(sinks=(1, 2)))
    assert row != SURGERIES['rfclip']
    assert hash(row) == hash(SURGERIES['rfclip'])
    assert "'sinks': (1, 2)" in row.name


@pytest.mark.parametrize('name', ['sfp', 'rfclip'])
def test_a_row_is_read_back_from_its_fields(name):
    row = SURGERIES[name]
    assert Surgery.read(dataclasses.asdict(row)) == row
    assert Surgery.read(ConfigDict(dataclasses.asdict(row))) == row
    assert copy.deepcopy(row) == pickle.loads(pickle.dumps(row)) == row


def test_constants_are_not_changed_in_place():
    with pytest.raises(TypeError):
        SURGERIES['rfclip'].constants['sinks'] = (1,)


def test_a_name_is_its_row():
    assert Surgery.read('gem') is SURGERIES['gem']


@pytest.mark.parametrize(
    ('spec', 'expected'),
    [
        (dict(name='gem'), SURGERIES['gem']),
        (dict(name='sclip', last_blocks=3), Surgery(3, 'qq+kk', ffn=True)),
        (dict(name='clip_surgery', affinity='kk', ffn=True), Surgery(6, 'kk', ffn=True, position='bilinear')),
    ],
    ids=['alone', 'blocks', 'several'],
)
def test_a_name_with_fields_is_its_row_with_these_replaced(spec, expected):
    assert Surgery.read(spec) == Surgery.read(ConfigDict(spec)) == expected


@pytest.mark.parametrize('name', SURGERIES)
def test_fields_as_json_give_the_row_again(name):
    assert Surgery.read(json.loads(json.dumps(SURGERIES[name].as_dict()))) == SURGERIES[name]


def test_a_surgery_is_not_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SURGERIES['clip'].last_blocks = 6


ERRORS = {
    'unknown name': ('clip-surgery', r"unknown surgery 'clip-surgery'; choose one of clip, .*clip_surgery"),
    'unknown field': (dict(last_blocks=1, blocks=2), "unknown field 'blocks'; the fields are affinity"),
    'no blocks': (dict(affinity='vv'), 'field last_blocks is missing'),
    'unknown name, fields': (
        dict(name='scilp', last_blocks=1),
        "unknown surgery 'scilp'; choose one of clip, ",
    ),
    'name, unknown field': (dict(name='gem', blocks=2), "unknown field 'blocks'; the fields are .*, or name"),
    'name, illegal value': (dict(name='gem', last_blocks=-1), 'whole number >= 0, got -1'),
    'no name': (dict(name=None), 'got NoneType'),
    'negative blocks': (dict(last_blocks=-1), 'whole number >= 0, got -1'),
    'fractional blocks': (dict(last_blocks=1.5), 'whole number >= 0, got 1.5'),
    'blocks as text': (dict(last_blocks='6'), "whole number >= 0, got '6'"),
    'blocks as truth': (dict(last_blocks=True), 'whole number >= 0, got True'),
    'unknown affinity': (dict(last_blocks=1, affinity='vq'), "affinity must be one of identity, .*got 'vq'"),
    'unknown position': (
        dict(last_blocks=1, position='nearest'),
        "position must be one of bilinear, .*'nearest'",
    ),
    'residual as text': (dict(last_blocks=1, residual='no'), "residual must be True or False, got 'no'"),
    'ffn as None': (dict(last_blocks=1, ffn=None), 'ffn must be True or False, got None'),
    'unknown constant': (
        dict(last_blocks=1, affinity='kk+gauss&cross', constants=dict(crosss=(2.0, 0.3))),
        "unknown constant 'crosss'; this surgery reads cross, cross_blocks, depth",
    ),
    'constant that is not read': (
        dict(last_blocks=1, constants=dict(floor=0.4)),
        "unknown constant 'floor'; this surgery reads no constants",
    ),
    'one number for two': (
        dict(last_blocks=1, affinity='kk+gauss&cross', constants=dict(cross=2.0)),
        r"constant 'cross' must be like \(2.0, 0.3\), got 2.0",
    ),
    'three numbers for two': (
        dict(last_blocks=1, affinity='kk+gauss&cross', constants=dict(cross=(2.0, 0.3, 1.0))),
        r"constant 'cross' must be like \(2.0, 0.3\)",
    ),
    'fraction of a block': (
        dict(last_blocks=1, affinity='kk+gauss&cross', constants=dict(cross_blocks=(6, 8.5))),
        r"constant 'cross_blocks' must be like \(6, 9\)",
    ),
    'constants in a list': (
        dict(last_blocks=1, constants=[3]),
        r'constants must be a dict of numbers, got \[3\]',
    ),
    'unknown map': (
        dict(last_blocks=1, residual=False, reads=[dict(before=['mend'])]),
        "a map of tokens must be one of mend_local, .*, got 'mend'",
    ),
    'maps in a string': (
        dict(last_blocks=1, residual=False, reads=[dict(before='mend_local')]),
        "before must be a list of names, got 'mend_local'",
    ),
    'unknown stream': (
        dict(last_blocks=1, residual=False, reads=[dict(stream='second')]),
        "'second' is needed .* add a row TRACES",
    ),
    'unknown field of a read': (
        dict(last_blocks=1, residual=False, reads=[dict(maps=())]),
        'a read is a dict of stream, affinity, before, after, weight, got',
    ),
    'reads of several blocks': (
        dict(last_blocks=2, residual=False, reads=[dict()]),
        'reads are of the last block alone: give last_blocks=1',
    ),
    'unknown step': (
        dict(last_blocks=1, each_block='silence'),
        "each_block must be one of quieten, got 'silence'",
    ),
    'neither': (6, 'a name, a dict of fields or a Surgery, got int'),
    'nothing': (None, 'got NoneType'),
}


@pytest.mark.parametrize(('spec', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(spec, message):
    with pytest.raises(ValueError, match=message):
        Surgery.read(spec)
