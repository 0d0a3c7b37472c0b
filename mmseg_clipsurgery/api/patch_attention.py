"""Where a chosen patch looks: one row of the affinity A that a surgery reads a block with.

    identity   1 at the patch itself          qk   softmax(s q k^T)             qq, kk, vv   softmax(s p p^T)
    qq+kk      mean of the two softmaxes      kk+gauss, gem   as in `attention`, gem's mean over v, k and q

averaged over heads, the class token's column left out. `attention` computes A v without ever holding A; here A is
wanted, for one row, and the two agree: sum_j A_ij v_j is what the block's side read adds (qq+kk: half of it).

For `last_blocks=0` it is CLIP's own attention. Source: the query maps of CLIP Surgery (arXiv 2304.05653, figure 2).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..affinities import Projections, gauss_bias, project, run_block, split_heads
from ..clip.towers import CLIPSurgeryResNet, ImageTower, resize_position_table


def soft(
    query: Tensor, key: Tensor, rows: slice, scale: Tensor | float, bias: Tensor | float = 0.0
) -> Tensor:
    """softmax(scale q k^T + bias) at the given rows. q, k "b a n e" -> "b a r n"."""
    return (scale * query[:, :, rows] @ key.mT + bias).softmax(dim=-1)


def self_affinity(p: Tensor, rows: slice, bias: Tensor | float = 0.0) -> Tensor:
    """softmax(s p p^T + bias), s = head width^-0.5."""
    return soft(p, p, rows, p.shape[-1] ** -0.5, bias)


def gem_affinity(p: Projections, rows: slice) -> Tensor:
    temperature = p.stream.norm(dim=-1).mean(dim=-1)[:, None, None, None] * p.v.shape[-1] ** -0.5
    maps = []
    for vectors in (p.v, p.k, p.q):
        unit = F.normalize(vectors, dim=-1)
        unit = F.normalize(soft(unit, unit, slice(None), temperature) @ unit, dim=-1)
        maps.append(soft(unit, unit, rows, temperature))
    return torch.stack(maps).mean(dim=0)


def own_patch(p: Projections, rows: slice) -> Tensor:
    count = p.v.shape[2]
    return torch.eye(count, device=p.v.device, dtype=p.v.dtype)[rows].expand(*p.v.shape[:2], -1, -1)


# Affinity name -> A(projections, rows) "b a r n", the columns all tokens, the class token first; rows sum to 1.
AFFINITY_MAPS: dict[str, Callable[[Projections, slice], Tensor]] = {
    'identity': own_patch,
    'qk': lambda p, rows: soft(p.q, p.k, rows, p.q.shape[-1] ** -0.5),
    'qq': lambda p, rows: self_affinity(p.q, rows),
    'kk': lambda p, rows: self_affinity(p.k, rows),
    'vv': lambda p, rows: self_affinity(p.v, rows),
    'qq+kk': lambda p, rows: (self_affinity(p.q, rows) + self_affinity(p.k, rows)) / 2,
    'kk+gauss': lambda p, rows: self_affinity(p.k, rows, gauss_bias(p.grid, p.k)[rows]),
    'gem': gem_affinity,
}


def patch_attention(tower: ImageTower, image: Tensor, patch: tuple[int, int], block: int = -1) -> Tensor:
    """How much one patch takes from each patch, under the tower's surgery.

    Args:
        tower: `CLIPSurgeryViT` or `CLIPSurgeryResNet`.
        image: "1 3 H W", normalised.
        patch: (row, column) on the grid of patches.
        block: which block, from the end: -1 is the last. A ResNet has its pool alone.

    Returns:
        "h w" on the patch grid, not negative, sums to at most 1 (the rest goes to the class token).

    Raises:
        ValueError: a patch outside the grid, or a block that the tower does not have or the surgery does not read.
    """
    p = block_projections(tower, tower.check_images(image), block)
    (height, width), (row, column) = p.grid, patch
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f'patch {tuple(patch)} lies outside the grid of {height} rows and {width} columns')
    affinity = tower.surgery.affinity if tower.surgery.last_blocks else 'qk'
    token = 1 + row * width + column
    weights = AFFINITY_MAPS[affinity](p, slice(token, token + 1)).mean(dim=1)[0, 0]
    return weights[1:].unflatten(0, p.grid).float()


def block_projections(tower: ImageTower, images: Tensor, block: int) -> Projections:
    """q, k, v of one block of a tower, read from CLIP's own stream."""
    if isinstance(tower, CLIPSurgeryResNet):
        if block != -1:
            raise ValueError(f'a ResNet has one attention, its pool: block must be -1, got {block}')
        return pool_projections(tower, images)
    blocks = tower.visual.transformer.resblocks
    read = tower.surgery.last_blocks or len(blocks)
    if not -read <= block <= -1:
        raise ValueError(f'block counts from the end, -1 to -{read} under this surgery, got {block}')
    x, grid = tower.embed(images)
    for own in blocks[: len(blocks) + block]:
        x = run_block(own, x, tower.heads)
    return project(blocks[block], x, tower.heads, grid)


def pool_projections(tower: CLIPSurgeryResNet, images: Tensor) -> Projections:
    """q, k, v of a ResNet's attention pool, for the mean token and every cell of the grid."""
    visual, pool = tower.visual, tower.visual.attnpool
    x = visual.stem(images)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = layer(x)
    grid = (x.shape[2], x.shape[3])
    x = x.flatten(2).transpose(1, 2)
    table = resize_position_table(pool.positional_embedding, tower.trained_grid, grid, tower.surgery.position)
    x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + table.to(x.dtype)
    q, k, v = (split_heads(part(x), pool.num_heads) for part in (pool.q_proj, pool.k_proj, pool.v_proj))
    return Projections(q, k, v, x, grid)
