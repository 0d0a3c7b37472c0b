"""Affinities against the formulas written out: A v, and A itself beside it."""

import naive
import rows
from mmseg_clipsurgery import attention
from mmseg_clipsurgery.affinities import AFFINITIES, affinity_named, gauss_bias, tokens_by
from mmseg_clipsurgery.attention import Affinity

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

sizes = st.tuples(
    st.integers(1, 2), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)
)
seeds = st.integers(0, 2**31)


def projections(b: int, a: int, h: int, w: int, e: int, seed: int = 0) -> attention.Projections:
    """Random q, k, v of `a` heads of width `e` on a grid (h, w), in double."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    q, k, v = (noise(b, a, 1 + h * w, e) for _ in range(3))
    return attention.Projections(q, k, v, noise(b, 1 + h * w, a * e), (h, w))


@pytest.mark.parametrize('attend', [functional.scaled_dot_product_attention, attention.plain_attention])
@pytest.mark.parametrize('affinity', rows.BLOCK_AFFINITIES)
@given(size=sizes, seed=seeds)
@settings(max_examples=10, deadline=None)
def test_affinity_equals_its_formula(affinity, attend, size, seed):
    p = projections(*size, seed=seed)._replace(attend=attend)
    expected = torch.stack(
        [
            torch.stack(
                [naive.read(affinity, q, k, v, stream, p.grid) for q, k, v in zip(*heads, strict=True)]
            )
            for *heads, stream in zip(p.q, p.k, p.v, p.stream, strict=True)
        ]
    )
    new_tokens = AFFINITIES[affinity].new_tokens
    torch.testing.assert_close(new_tokens(p, slice(None)), expected)
    torch.testing.assert_close(new_tokens(p, slice(1, None)), expected[:, :, 1:])
    torch.testing.assert_close(new_tokens(p, slice(1)), expected[:, :, :1])


def test_a_loop_over_everything_gives_vv():
    p = projections(2, 2, 1, 2, 3)
    read = AFFINITIES['vv'].new_tokens(p, slice(None))
    for b in range(2):
        for a in range(2):
            for i in range(3):
                weights = [
                    sum(p.v[b, a, i, e] * p.v[b, a, j, e] for e in range(3)) * 3**-0.5 for j in range(3)
                ]
                weights = [weight.exp() for weight in weights]
                expected = sum(weight / sum(weights) * p.v[b, a, j] for j, weight in enumerate(weights))
                torch.testing.assert_close(read[b, a, i], expected)


def test_rows_of_qq_and_kk_sum_to_two():
    p = projections(1, 2, 2, 3, 4)._replace(v=torch.ones(1, 2, 7, 4, dtype=torch.float64))
    torch.testing.assert_close(AFFINITIES['qq+kk'].new_tokens(p, slice(None)), 2 * p.v)


def test_gauss_is_one_at_home_and_nothing_to_the_class_token():
    bias = gauss_bias((2, 3), torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(bias, naive.neighbours((2, 3)), atol=1e-7, rtol=0)
    assert torch.equal(bias.diagonal()[1:], torch.ones(6, dtype=torch.float64))
    assert not bias[0].any()
    assert not bias[:, 0].any()


@pytest.mark.parametrize('affinity', rows.BLOCK_AFFINITIES)
def test_batch_equals_single_images(affinity):
    p = projections(3, 2, 2, 2, 4)
    read = AFFINITIES[affinity].new_tokens
    for index in range(3):
        single = attention.Projections(*(part[index : index + 1] for part in p[:4]), p.grid)
        torch.testing.assert_close(read(p, slice(None))[index], read(single, slice(None))[0])


@pytest.mark.parametrize('affinity', rows.BLOCK_AFFINITIES)
@given(size=sizes, seed=seeds)
@settings(max_examples=10, deadline=None)
def test_weights_times_v_are_what_is_attended_to(affinity, size, seed):
    p, row = projections(*size, seed=seed), AFFINITIES[affinity]
    for tokens in (slice(None), slice(1, None), slice(0, 1)):
        torch.testing.assert_close(row.weights(p, tokens) @ p.v, row.new_tokens(p, tokens))
    total = torch.full((), 2.0 if affinity == 'qq+kk' else 1.0, dtype=torch.float64)
    torch.testing.assert_close(row.weights(p, slice(None)).sum(dim=-1), total.expand(p.v.shape[:3]))


@pytest.mark.parametrize('affinity', rows.BLOCK_AFFINITIES)
def test_only_declared_parts_are_used(affinity):
    """Parts that a row does not declare may be empty."""
    p, row = projections(2, 2, 2, 3, 4), AFFINITIES[affinity]
    empty = {part: p.v.new_empty(0) for part in 'qk' if part not in row.uses}
    assert torch.equal(row.new_tokens(p._replace(**empty), slice(None)), row.new_tokens(p, slice(None)))


@pytest.mark.parametrize('affinity', [name for name, row in AFFINITIES.items() if row.sharpened])
def test_sharpened_forms_attend_to_unit_vectors_eight_times_as_sharply(affinity):
    p = projections(2, 2, 2, 3, 4)
    expected = 0
    for part in affinity.split('+'):
        vectors = {'qq': p.q, 'kk': p.k, 'vv': p.v}[part]
        unit = functional.normalize(vectors, dim=-1)
        expected = expected + (8 * 4**-0.5 * unit @ unit.mT).softmax(dim=-1) @ p.v
    torch.testing.assert_close(AFFINITIES[affinity].sharpened(p), expected[:, :, 1:], atol=1e-5, rtol=1e-5)


def test_weights_alone_make_an_affinity():
    row = Affinity('kv', weights=AFFINITIES['kk'].weights)
    p = projections(1, 2, 2, 2, 3)
    expected = AFFINITIES['kk'].new_tokens(p, slice(1, None))
    torch.testing.assert_close(row.new_tokens(p, slice(1, None)), expected)


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        (dict(uses='qx', weights=print), "some of 'q', 'k' and 'v'"),
        (dict(uses=('q', 'k'), weights=print), "some of 'q', 'k' and 'v'"),
        (dict(uses='qk'), 'needs attend .* or weights'),
        (dict(uses='qk', weights=print, needs='hidden'), r"write \('hidden',\)"),
    ],
    ids=['another part', 'no string', 'no rule', 'needs in a string'],
)
def test_an_affinity_that_is_none_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Affinity(**fields)


def test_an_unknown_affinity_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"one of identity, qk, .*, got 'xx'"):
        affinity_named('xx')


def plus_query(p: attention.Projections, rows: slice) -> Tensor:
    return p.v[:, :, rows] + p.q[:, :, rows]


OWN_MISTAKES = {
    'reads what it does not declare': (
        Affinity('k', attend=plus_query),
        'fails with .*uses, .k., must name all of q and k',
    ),
    'takes one argument': (Affinity('v', attend=lambda p: p.v), "the affinity 'mine' fails with TypeError"),
    'gives every row': (
        Affinity('v', attend=lambda p, rows: p.v),
        r'gives tokens of shape \(2, 3, 7, 4\), expected \(2, 3, 6, 4\)',
    ),
    'transposed': (
        Affinity('k', weights=lambda p, rows: p.k[:, :, rows].mT),
        "'mine' fails with RuntimeError",
    ),
}


@pytest.mark.parametrize(('row', 'message'), OWN_MISTAKES.values(), ids=OWN_MISTAKES.keys())
def test_an_own_affinity_that_fails_is_named(monkeypatch, row, message):
    monkeypatch.setitem(AFFINITIES, 'mine', row)
    with pytest.raises(ValueError, match=message):
        tokens_by('mine', projections(2, 3, 2, 3, 4), slice(1, None))


def test_an_own_affinity_sees_what_it_declares_whatever_else_is_there(monkeypatch):
    monkeypatch.setitem(AFFINITIES, 'mine', Affinity('q', attend=plus_query))
    p = projections(2, 3, 2, 3, 4)
    torch.testing.assert_close(tokens_by('mine', p, slice(1, None)), (p.v + p.q)[:, :, 1:])


def test_a_function_is_no_affinity(monkeypatch):
    monkeypatch.setitem(AFFINITIES, 'mine', plus_query)
    with pytest.raises(ValueError, match=r"AFFINITIES\['mine'\] must be an Affinity, .*, got function"):
        affinity_named('mine')
