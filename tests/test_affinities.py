"""Affinities against the formulas written out, and the side read of one block."""

import naive
import tiny
from mmseg_clipsurgery import affinities as attention
from mmseg_clipsurgery.surgery import AFFINITIES

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
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


@pytest.mark.parametrize('attend', [functional.scaled_dot_product_attention, attention.attend_plainly])
@pytest.mark.parametrize('affinity', AFFINITIES)
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
    rows = attention.AFFINITY_READS[affinity]
    torch.testing.assert_close(rows(p, slice(None)), expected)
    torch.testing.assert_close(rows(p, slice(1, None)), expected[:, :, 1:])
    torch.testing.assert_close(rows(p, slice(1)), expected[:, :, :1])


def test_a_loop_over_everything_gives_vv():
    p = projections(2, 2, 1, 2, 3)
    read = attention.AFFINITY_READS['vv'](p, slice(None))
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
    torch.testing.assert_close(attention.AFFINITY_READS['qq+kk'](p, slice(None)), 2 * p.v)


def test_gauss_is_one_at_home_and_nothing_to_the_class_token():
    bias = attention.gauss_bias((2, 3), torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(bias, naive.neighbours((2, 3)), atol=1e-7, rtol=0)
    assert torch.equal(bias.diagonal()[1:], torch.ones(6, dtype=torch.float64))
    assert not bias[0].any()
    assert not bias[:, 0].any()


@pytest.mark.parametrize('affinity', AFFINITIES)
def test_images_of_a_batch_do_not_meet(affinity):
    p = projections(3, 2, 2, 2, 4)
    read = attention.AFFINITY_READS[affinity]
    for index in range(3):
        single = attention.Projections(*(part[index : index + 1] for part in p[:4]), p.grid)
        torch.testing.assert_close(read(p, slice(None))[index], read(single, slice(None))[0])


def test_heads_are_cut_in_order():
    x = torch.arange(24.0).reshape(1, 2, 12)
    assert attention.split_heads(x, 3)[0, 1, 0].tolist() == [4, 5, 6, 7]
    assert torch.equal(attention.merge_heads(attention.split_heads(x, 3)), x)


@pytest.fixture(scope='module')
def block() -> nn.Module:
    return tiny.clip(tiny.SMALL).visual.transformer.resblocks[1]


def test_a_block_is_open_clips(block):
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        normed = block.ln_1(x)
        expected = x + nn.functional.multi_head_attention_forward(
            *(normed.transpose(0, 1),) * 3,
            embed_dim_to_check=16,
            num_heads=2,
            in_proj_weight=block.attn.in_proj_weight,
            in_proj_bias=block.attn.in_proj_bias,
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0,
            out_proj_weight=block.attn.out_proj.weight,
            out_proj_bias=block.attn.out_proj.bias,
            need_weights=False,
        )[0].transpose(0, 1)
        expected = expected + block.mlp(block.ln_2(expected))
        torch.testing.assert_close(attention.run_block(block, x, heads=2), expected)
        p = attention.project(block, x, heads=2)
        torch.testing.assert_close(attention.run_class_token(block, x, p), expected[:, :1])


@pytest.mark.parametrize('ffn', [False, True])
def test_side_read_adds_to_the_patches(block, ffn):
    x, y = torch.randn(2, 1, 5, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        p = attention.project(block, x, heads=2, grid=(2, 2))
        found = attention.side_read(block, y[:, 1:], p, 'kk', ffn)
        heads = [naive.read('kk', p.q[0, h], p.k[0, h], p.v[0, h], p.stream[0], p.grid) for h in range(2)]
        expected = y + block.attn.out_proj(torch.cat(heads, dim=1))
        expected = expected + block.mlp(block.ln_2(expected)) if ffn else expected
    torch.testing.assert_close(found, expected[:, 1:])


def test_unknown_parameters_are_named(block):
    assert attention.unknown_parameters([block]) == []
    other = nn.Module()
    other.attn = nn.Module()
    other.attn.head_scale = nn.Parameter(torch.ones(2))
    assert attention.unknown_parameters([block, other]) == ['attn.head_scale']
