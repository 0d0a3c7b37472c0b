"""Patch-query maps: the affinity they show is the one the surgery reads with."""

import tiny
from mmseg_clipsurgery.affinities import AFFINITY_READS, Projections, project, run_block
from mmseg_clipsurgery.api.patch_attention import AFFINITY_MAPS, block_projections, patch_attention
from mmseg_clipsurgery.surgery import SURGERIES

import pytest
import torch

pytestmark = pytest.mark.mmseg

GRID = (3, 4)


def projections(seed: int = 0) -> Projections:
    random = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, 2, 13, 8, generator=random, dtype=torch.float64) for _ in range(3))
    return Projections(q, k, v, torch.randn(2, 13, 16, generator=random, dtype=torch.float64), GRID)


def test_every_affinity_has_a_map():
    assert set(AFFINITY_MAPS) == set(AFFINITY_READS)


@pytest.mark.parametrize('affinity', AFFINITY_READS)
@pytest.mark.parametrize('rows', [slice(None), slice(5, 6)], ids=['all', 'one row'])
def test_map_times_values_is_the_read(affinity, rows):
    p = projections()
    weights = AFFINITY_MAPS[affinity](p, rows)
    times = 2 if affinity == 'qq+kk' else 1  # a sum of two softmaxes, shown as their mean
    torch.testing.assert_close(times * weights @ p.v, AFFINITY_READS[affinity](p, rows))
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)))


@pytest.mark.parametrize(
    'surgery', ['clip', 'maskclip', 'sclip', 'clearclip', 'naclip', 'gem', 'clip_surgery']
)
def test_the_chosen_patch_of_the_chosen_block(surgery):
    tower, image = tiny.vit(surgery), tiny.images(1, 3, 48, 80)
    with torch.no_grad():
        weights = patch_attention(tower, image, (2, 1))
        x, grid = tower.embed(image)
        *before, last = tower.visual.transformer.resblocks
        for block in before:
            x = run_block(block, x, tower.heads)
        affinity = SURGERIES[surgery].affinity if SURGERIES[surgery].last_blocks else 'qk'
        p = project(last, x, tower.heads, grid)
        expected = AFFINITY_MAPS[affinity](p, slice(None))[0].mean(dim=0)[1 + 2 * grid[1] + 1, 1:]
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
        p = block_projections(tower, image, -1)
        read = tower.visual.attnpool.c_proj(
            (AFFINITY_MAPS['vv'](p, slice(None)) @ p.v).transpose(1, 2).flatten(2)
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
