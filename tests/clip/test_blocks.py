"""Blocks read by their parameters: CLIP's own step, the class token alone, refused parameters."""

import tiny
from mmseg_clipsurgery.clip.blocks import TransformerBlock, merge_heads, split_heads, unknown_parameters
from mmseg_clipsurgery.dual_path import class_token_after

import pytest
import torch
from torch import nn


def test_heads_are_cut_in_order():
    x = torch.arange(24.0).reshape(1, 2, 12)
    assert split_heads(x, 3)[0, 1, 0].tolist() == [4, 5, 6, 7]
    assert torch.equal(merge_heads(split_heads(x, 3)), x)


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
        own = TransformerBlock(block, heads=2)
        torch.testing.assert_close(own.run(x), expected)
        p = own.project(x)
        torch.testing.assert_close(class_token_after(own, x, p, own.class_query(p)), expected[:, :1])


@pytest.mark.parametrize('parts', ['v', 'kv', 'qv', 'qkv'])
def test_parts_made_alone_equal_those_made_together(block, parts):
    x, own = (
        torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0)),
        TransformerBlock(block, heads=2),
    )
    with torch.no_grad():
        alone, together = own.project_parts(x, (2, 2), parts), own.project(x, (2, 2))
    for part in 'qkv':
        found = getattr(alone, part)
        assert found.numel() == 0 if part not in parts else torch.equal(found, getattr(together, part))


def test_unknown_parameters_are_named(block):
    assert unknown_parameters([block]) == []
    other = nn.Module()
    other.attn = nn.Module()
    other.attn.head_scale = nn.Parameter(torch.ones(2))
    assert unknown_parameters([block, other]) == ['attn.head_scale']
