"""Surgeries as data: the table of the design, what is legal, and what an illegal value gets."""

import dataclasses

from mmseg_clipsurgery import SURGERIES, Surgery
from mmseg_clipsurgery.affinities import AFFINITIES, Affinity
from mmseg_clipsurgery.surgery import POSITIONS

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import ConfigDict

legal_fields = st.fixed_dictionaries(
    {
        'last_blocks': st.integers(0, 40),
        'affinity': st.sampled_from(list(AFFINITIES)),
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
}


@pytest.mark.parametrize('name', TABLE)
def test_the_rows_are_the_designs(name):
    for found, wanted in zip(dataclasses.astuple(SURGERIES[name]), TABLE[name], strict=True):
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
    assert dataclasses.asdict(surgery) == fields
    assert Surgery.read(surgery) is surgery
    assert Surgery.read(ConfigDict(fields)) == surgery  # what a config hands over


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
    'residual as text': (dict(last_blocks=1, residual='no'), "residual must be one of True, False, got 'no'"),
    'ffn as None': (dict(last_blocks=1, ffn=None), 'ffn must be one of True, False, got None'),
    'neither': (6, 'a name, a dict of fields or a Surgery, got int'),
    'nothing': (None, 'got NoneType'),
}


@pytest.mark.parametrize(('spec', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(spec, message):
    with pytest.raises(ValueError, match=message):
        Surgery.read(spec)
