"""Patch-query maps: the affinity they show is the one the surgery reads with."""

import tiny
from mmseg_clipsurgery.affinities import AFFINITIES
from mmseg_clipsurgery.api.patch_attention import patch_attention
from mmseg_clipsurgery.attention import Affinity
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

import pytest
import torch


@pytest.mark.parametrize(
    'surgery', ['clip', 'maskclip', 'sclip', 'clearclip', 'naclip', 'gem', 'clip_surgery']
)
def test_the_chosen_patch_of_the_chosen_block(surgery):
    tower, image = tiny.vit(surgery), tiny.images(1, 3, 48, 80)
    with torch.no_grad():
        weights = patch_attention(tower, image, (2, 1))
        grid = tower.grid_of(image.shape[2:])
        x = tower.patch_embedding(image, grid, SURGERIES[surgery].position)
        *before, last = tower.blocks
        for block in before:
            x = block.run(x)
        affinity = SURGERIES[surgery].affinity if SURGERIES[surgery].last_blocks else 'qk'
        p = last.project(x, grid)
        expected = AFFINITIES[affinity].weights(p, slice(None))[0].mean(dim=0)[1 + 2 * grid[1] + 1, 1:]
        expected = expected / 2 if affinity == 'qq+kk' else expected  # two softmaxes, shown as their mean
    assert weights.shape == grid == (3, 5)
    torch.testing.assert_close(weights.flatten(), expected)
    assert weights.min() >= 0
    assert weights.sum() <= 1 + 1e-6


def test_another_block_is_another_map():
    tower, image = tiny.vit(), tiny.images(1, 3, 64, 64)
    with torch.no_grad():
        maps = [patch_attention(tower, image, (0, 0), block) for block in (-1, -2, -6)]
    assert not torch.allclose(maps[0], maps[1])
    assert not torch.allclose(maps[1], maps[2])


def test_resnet_pool():
    tower, image = tiny.resnet(), tiny.images(1, 3, 64, 96)
    with torch.no_grad():
        weights = patch_attention(tower, image, (1, 2))
        p = tower.projections(image, tower.surgery)
        read = tower.visual.attnpool.c_proj(
            (AFFINITIES['vv'].weights(p, slice(None)) @ p.v).transpose(1, 2).flatten(2)
        )
        tokens = tower(image)
    assert weights.shape == (2, 3)
    torch.testing.assert_close(read[:, 1:].mT.unflatten(2, (2, 3)), tokens.patch_tokens)
    with pytest.raises(ValueError, match='a ResNet has one attention'):
        patch_attention(tower, image, (0, 0), -2)


@pytest.mark.parametrize('patch', [(4, 0), (0, 4), (-1, 0)])
def test_patch_outside(patch):
    with pytest.raises(ValueError, match='outside the grid of 4 rows and 4 columns'):
        patch_attention(tiny.vit(), tiny.images(1, 3, 64, 64), patch)


@pytest.mark.parametrize(
    ('surgery', 'block', 'most'), [('clip_surgery', -7, 6), ('naclip', -2, 1), ('clip', 0, 8)]
)
def test_block_that_is_not_read(surgery, block, most):
    with pytest.raises(ValueError, match=f'-1 to -{most} under this surgery, got {block}'):
        patch_attention(tiny.vit(surgery), tiny.images(1, 3, 64, 64), (0, 0), block)


def test_another_surgery_than_the_towers_own():
    image = tiny.images(1, 3, 64, 64)
    with torch.no_grad():
        found = patch_attention(tiny.vit('clip'), image, (1, 1), surgery=SURGERIES['naclip'])
        assert torch.equal(found, patch_attention(tiny.vit('naclip'), image, (1, 1)))


def test_an_affinity_without_weights_has_no_map(monkeypatch):
    monkeypatch.setitem(AFFINITIES, 'mine', Affinity('v', attend=lambda p, rows: p.v[:, :, rows]))
    tower = tiny.vit(Surgery(1, 'mine'))
    with pytest.raises(ValueError, match="affinity 'mine' has no weights"):
        patch_attention(tower, tiny.images(1, 3, 64, 64), (0, 0))
