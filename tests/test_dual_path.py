"""Many surgeries over one pass of CLIP: equal to the bit to one by one; traces of earlier blocks; what is refused."""

from functools import cache

import rows
import tiny
from cases import slow_but
from mmseg_clipsurgery.affinities import AFFINITIES
from mmseg_clipsurgery.attention import Affinity
from mmseg_clipsurgery.dual_path import read_blocks
from mmseg_clipsurgery.surgery import SURGERIES, Surgery
from mmseg_clipsurgery.traces import TRACES, Trace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

TOWERS = {'vit': tiny.vit, 'resnet': tiny.resnet}
SIZES = {'trained grid': (64, 64), 'rectangle': (48, 112), 'larger': (96, 96)}
EVERY = [*rows.ANY_TOWER, Surgery(2, 'kk', residual=False, ffn=True), Surgery(1, 'qk', position='bilinear')]


@cache
def read_by(kind, surgery):
    """A tower of one surgery; nobody changes it."""
    return TOWERS[kind](surgery)


def assert_same(found, expected):
    assert torch.equal(found.patch_tokens, expected.patch_tokens)
    assert (found.cls_token is None) == (expected.cls_token is None)
    assert found.cls_token is None or torch.equal(found.cls_token, expected.cls_token)


@pytest.mark.parametrize('class_token', [True, False], ids=['class token', 'patches alone'])
@pytest.mark.parametrize('size', slow_but(['trained grid'], SIZES))
@pytest.mark.parametrize('kind', TOWERS)
def test_many_surgeries_equal_one_by_one_to_the_bit(kind, size, class_token):
    tower, images = read_by(kind, 'clip_surgery'), tiny.images(2, 3, *SIZES[size])
    with torch.no_grad():
        found = tower.read_many(images, EVERY, class_token)
        assert list(found) == [surgery if isinstance(surgery, str) else surgery.name for surgery in EVERY]
        for surgery, tokens in zip(EVERY, found.values(), strict=True):
            assert_same(tokens, read_by(kind, surgery)(images, class_token))


@pytest.mark.slow
@given(names=st.lists(st.sampled_from(rows.ANY_TOWER), min_size=1, unique=True))
@settings(max_examples=25, deadline=None)
def test_neither_order_nor_company_changes_a_surgery(names):
    images = tiny.images(1, 3, 16, 20)
    with torch.no_grad():
        tower = tiny.vit('clip', tiny.changed(tiny.SMALL, vision_cfg=dict(layers=6)))
        for name, tokens in tower.read_many(images, names).items():
            assert_same(tokens, tower(images, surgery=name))


def test_clip_is_walked_once_at_the_trained_grid():
    tower = tiny.vit()
    calls = [0] * tower.depth
    for number, block in enumerate(tower.visual.transformer.resblocks):

        def count(module, arguments, number=number):
            calls[number] += 1

        block.ln_1.register_forward_pre_hook(count)
    with torch.no_grad():
        tower.read_many(tiny.images(1, 3, 64, 64), rows.ANY_TOWER)
        assert calls == [1] * tower.depth
        tower.read_many(tiny.images(1, 3, 96, 96), rows.ANY_TOWER)
    assert calls == [4] * tower.depth  # once more for each of three rules of position


def test_names_of_ones_own():
    tower, images = tiny.vit(), tiny.images(1, 3, 64, 64)
    with torch.no_grad():
        found = tower.read_many(images, {'a': 'gem', 'b': dict(last_blocks=2, affinity='kk')})
        assert_same(found['a'], tower(images, surgery='gem'))
        assert_same(found['b'], tower(images, surgery=Surgery(2, 'kk')))


def test_a_surgery_at_the_call_leaves_the_towers_own_alone():
    tower, images = tiny.vit('naclip'), tiny.images(1, 3, 64, 64)
    with torch.no_grad():
        before = tower(images)
        tower(images, surgery='gem')
        assert tower.surgery == SURGERIES['naclip']
        assert_same(tower(images), before)


@pytest.fixture
def hidden(monkeypatch):
    """An affinity that attends by cosines of the tokens after block 2, from its own row of `TRACES`."""

    def keep_second(kept, view):
        return view.leaving if view.number == 2 else kept

    def weights(p, rows):
        tokens = torch.nn.functional.normalize(p.traces['second'], dim=-1)
        return (8 * tokens[:, rows] @ tokens.mT).softmax(dim=-1)[:, None].expand(-1, p.v.shape[1], -1, -1)

    monkeypatch.setitem(TRACES, 'second', Trace(keep_second))
    monkeypatch.setitem(AFFINITIES, 'hidden', Affinity('v', weights=weights, needs=('second',)))
    return weights


def test_an_affinity_reads_what_earlier_blocks_left(hidden):
    tower, images = tiny.vit('clip'), tiny.images(2, 3, 64, 64)
    surgery = Surgery(1, 'hidden', residual=False)
    with torch.no_grad():
        found = tower.read_many(images, ['clip', surgery, 'gem'])[surgery.name]
        x = tower.patch_embedding(images, (4, 4), 'bilinear')
        *before, last = tower.blocks
        second = None
        for number, block in enumerate(before, start=1):
            x = block.run(x)
            second = x if number == 2 else second
        p = last.project(x, (4, 4))._replace(traces={'second': second})
        expected = tower.project_tokens(None, last.output(hidden(p, slice(1, None)) @ p.v), (4, 4))
        assert_same(tower(images, surgery=surgery), found)
    torch.testing.assert_close(found.patch_tokens, expected.patch_tokens)


def test_batch_equals_single_images_with_traces(hidden):
    tower, images = tiny.vit(Surgery(2, 'hidden')), tiny.images(3, 3, 64, 64)
    with torch.no_grad():
        together = tower(images).patch_tokens
        for index in range(3):
            torch.testing.assert_close(together[index], tower(images[index : index + 1]).patch_tokens[0])


def test_nothing_is_kept_that_nobody_needs(hidden, monkeypatch):
    seen = []
    monkeypatch.setitem(TRACES, 'second', Trace(lambda kept, view: seen.append(view.number)))
    with torch.no_grad():
        tiny.vit().read_many(tiny.images(1, 3, 64, 64), rows.ANY_TOWER)
    assert seen == []


def test_a_single_block_has_no_earlier_ones():
    tower = tiny.vit('clip', tiny.changed(tiny.SMALL, vision_cfg=dict(layers=1)))
    with torch.no_grad():
        x = tower.patch_embedding(tiny.images(1, 3, 12, 12), (3, 3), 'bilinear')
        (paths,) = read_blocks(tower.blocks, x, (3, 3), [Surgery(1, 'kk')], class_token=True)
    assert paths.patches.shape == (1, 9, 16)
    assert paths.class_token.shape == (1, 1, 16)


@pytest.mark.parametrize(
    ('surgeries', 'message'),
    [
        ([], 'no surgeries'),
        ('gem', "a list of surgeries, got 'gem' alone"),
        (['gem', 'gem'], "the surgery 'gem' twice"),
        (['gem', SURGERIES['gem']], "the surgery 'gem' twice"),
        (['gemm'], "unknown surgery 'gemm'"),
        ([Surgery(9)], 'reads the last 9 blocks, .* has 8'),
    ],
    ids=['none', 'a string', 'twice', 'twice in two forms', 'unknown', 'too many blocks'],
)
def test_lists_of_surgeries_that_are_refused(surgeries, message):
    with pytest.raises(ValueError, match=message):
        tiny.vit().read_many(tiny.images(1, 3, 64, 64), surgeries)


def test_needs_that_nobody_provides_are_named(monkeypatch):
    monkeypatch.setitem(AFFINITIES, 'mine', Affinity('v', attend=print, needs=('no_such',)))
    with pytest.raises(ValueError, match=r"'no_such' is needed .* add a row TRACES\['no_such'\]"):
        Surgery(1, 'mine')


def test_a_resnet_has_no_earlier_blocks(hidden):
    with pytest.raises(ValueError, match=r'one attention, its pool, and .*hidden.* needs earlier blocks'):
        tiny.resnet(Surgery(1, 'hidden'))
