"""The newer methods written out a second time: one image, whole matrices, loops over patches, in double precision.

Nothing of the package is used; parameters come by OpenAI's name from a dict, constants from a row's.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import naive

import torch
from torch import Tensor

Grid = tuple[int, int]


class Tower:
    """CLIP's own path through a ViT, one image; h[l] are the tokens after block l (h[0]: before the first)."""

    def __init__(
        self, arch: Mapping, parameters: Mapping[str, Tensor], image: Tensor, step: Callable | None = None
    ):
        self.p, vision = naive.double(parameters), arch['vision_cfg']
        self.act = naive.gelu(arch.get('quick_gelu', False))
        self.heads, self.layers = vision['width'] // vision.get('head_width', 64), vision['layers']
        patch, side = vision['patch_size'], vision['image_size'] // vision['patch_size']
        self.grid = (image.shape[1] // patch, image.shape[2] // patch)
        self.h = [self.embed(image.double(), patch, (side, side))]
        for number in range(1, self.layers + 1):
            x = self.h[-1]
            q, k, v = self.qkv(number, x)
            x = x + self.out(number, naive.softmax(self.scaled(q, k)) @ v)
            hidden = self.act(self.linear(number, 'mlp.c_fc', self.norm(number, 'ln_2', x)))
            x = x + self.linear(number, 'mlp.c_proj', hidden)
            self.h.append(x if step is None else torch.cat([x[:1], step(x[1:], self.grid)]))

    def embed(self, image: Tensor, patch: int, trained: Grid) -> Tensor:
        weight = self.p['visual.conv1.weight'].flatten(1)
        cells = [
            weight @ image[:, patch * y : patch * (y + 1), patch * x : patch * (x + 1)].flatten()
            for y in range(self.grid[0])
            for x in range(self.grid[1])
        ]
        table = naive.resize_table(self.p['visual.positional_embedding'], trained, self.grid, 'bicubic_scale')
        x = torch.stack([self.p['visual.class_embedding'], *cells]) + table
        return naive.layer_norm(self.p, 'visual.ln_pre', x)

    def norm(self, number: int, name: str, x: Tensor) -> Tensor:
        return naive.layer_norm(self.p, f'visual.transformer.resblocks.{number - 1}.{name}', x)

    def linear(self, number: int, name: str, x: Tensor) -> Tensor:
        name = f'visual.transformer.resblocks.{number - 1}.{name}'
        return x @ self.p[f'{name}.weight'].T + self.p[f'{name}.bias']

    def qkv(self, number: int, x: Tensor) -> list[Tensor]:
        """q, k and v "a n e" of tokens "n d" in a block."""
        block = f'visual.transformer.resblocks.{number - 1}.attn.in_proj_'
        parts = self.norm(number, 'ln_1', x) @ self.p[f'{block}weight'].T + self.p[f'{block}bias']
        return [part.unflatten(1, (self.heads, -1)).transpose(0, 1) for part in parts.chunk(3, dim=1)]

    def scaled(self, q: Tensor, k: Tensor) -> Tensor:
        return q @ k.transpose(1, 2) * q.shape[-1] ** -0.5

    def out(self, number: int, attended: Tensor) -> Tensor:
        """The output projection of attended values "a n e" -> "n d"."""
        return self.linear(number, 'attn.out_proj', attended.transpose(0, 1).flatten(1))

    def joint(self, x: Tensor) -> Tensor:
        return naive.layer_norm(self.p, 'visual.ln_post', x) @ self.p['visual.proj']


def cosines(x: Tensor) -> Tensor:
    return naive.unit(x) @ naive.unit(x).T


def aggregate(x: Tensor, similarity: Tensor, floor: float) -> Tensor:
    rows = []
    for row in similarity:
        weights = torch.where(row >= floor, row, torch.zeros_like(row))
        rows.append((weights[:, None] * x).sum(dim=0) / (weights.sum() + 1e-6))
    return torch.stack(rows)


def sharpened(similarity: Tensor, gain: float, share: float) -> Tensor:
    logits = gain * (similarity - share * similarity.mean())
    weights = torch.where(logits >= 0, logits.exp(), torch.zeros_like(logits))
    return weights / weights.sum(dim=1, keepdim=True)


def around(index: int, grid: Grid) -> list[int]:
    """Patches of the 3 x 3 neighbourhood of a patch, itself included."""
    y, x = divmod(index, grid[1])
    return [
        row * grid[1] + column
        for row in range(y - 1, y + 2)
        for column in range(x - 1, x + 2)
        if 0 <= row < grid[0] and 0 <= column < grid[1]
    ]


def repair(x: Tensor, bad: set[int], grid: Grid, keep_lone: bool) -> Tensor:
    found = x.clone()
    for index in bad:
        good = [near for near in around(index, grid) if near not in bad]
        if good:
            found[index] = x[good].mean(dim=0)
        elif not keep_lone:
            found[index] = 0
    return found


def lof_outliers(x: Tensor, neighbours: int, share: float) -> set[int]:
    distances = torch.stack([((x - one) ** 2).sum(dim=1) for one in x])
    reach, nearest = [], []
    for index, row in enumerate(distances):
        order = [other for other in row.argsort().tolist() if other != index][:neighbours]
        nearest.append(order)
        reach.append(row[order[-1]].item())
    scores = [reach[i] * sum(1 / reach[j] for j in order) / neighbours for i, order in enumerate(nearest)]
    place = (1 - share) * (len(scores) - 1)
    low, high = sorted(scores)[math.floor(place)], sorted(scores)[math.ceil(place)]
    limit = low + (high - low) * (place - math.floor(place))
    return {index for index, score in enumerate(scores) if score > limit}


def class_outliers(tower: Tower, number: int, gain: float, most: int) -> set[int]:
    q, k, _ = tower.qkv(number, tower.h[number - 1])
    attention = naive.softmax(tower.scaled(q, k)).mean(dim=0)
    given = attention[0, 1:].tolist()
    found = [i for i, value in enumerate(given) if gain * value > attention[1 + i, 1 + i].item()]
    return set(sorted(found, key=lambda i: -given[i])[:most])


def middle_methods(name: str, tower: Tower, c: Mapping[str, Any]) -> Tensor:
    """SC-CLIP and SFP: patches "n c"."""
    last, patches = tower.layers, [x[1:] for x in tower.h]
    levels = sum(tower.h[number] for number in range(c['levels'][0], c['levels'][1] + 1))
    first = tower.h[last - 1]
    if name == 'scclip':
        bad = lof_outliers(patches[last - 1], c['neighbours'], c['outlier_share'])
    else:
        bad = class_outliers(tower, c['class_block'], c['class_gain'], c['most_outliers'])
    keep = name == 'scclip'
    middle = cosines(repair(patches[c['middle_block']], bad, tower.grid, keep))
    if name == 'sfp':
        middle = torch.where(middle >= c['floor'], middle, torch.zeros_like(middle))
    early, sharp = cosines(patches[c['early_block']]), sharpened(middle, c['mid_gain'], c['mid_share'])

    def read(z: Tensor, token: Tensor, parts: str) -> Tensor:
        q, k, v = tower.qkv(last, z)
        maps = [sharp.expand(tower.heads, -1, -1)]
        maps += [naive.softmax(tower.scaled(u, u)) for u in ({'q': q, 'k': k}[part] for part in parts)]
        read = tower.out(last, sum(maps) / len(maps) @ v) + c['class_share'] * token
        return aggregate(read, early, c['floor'])

    second = {'scclip': 'k', 'sfp': ''}[name]
    mended = aggregate(repair(first[1:], bad, tower.grid, keep), middle, c['floor'])
    y = read(mended, first[0], {'scclip': 'k', 'sfp': 'qk'}[name]) + read(levels[1:], levels[0], second)
    return tower.joint(y)


def quieten(c: Mapping[str, Any]) -> Callable[[Tensor, Grid], Tensor]:
    """RF-CLIP's step after every block."""

    def step(x: Tensor, grid: Grid) -> Tensor:
        rows = []
        for index, token in enumerate(x):
            z = token - token.min()
            bad = max(z[sink] / z.sum() for sink in c['sinks']) > c['sink_ratio'] / len(token)
            mean = x[around(index, grid)].sum(dim=0) / 9
            rows.append((1 - c['moved']) * token + c['moved'] * (mean if bad else token))
        return torch.stack(rows)

    return step


def rfclip(tower: Tower, c: Mapping[str, Any]) -> Tensor:
    """RF-CLIP's dense part: patches "n c". The tower has been quietened."""
    last = tower.layers
    mean = sum(tower.h[1:]) / last
    alike = cosines(mean[1:])
    alike = torch.where(alike >= c['floor'], alike, torch.zeros_like(alike))
    total = 0
    for z in (tower.h[last - 1], mean):
        z = torch.cat([z[:1], alike @ z[1:]])
        maps = []
        for number in range(1, last + 1):
            _, k, v = tower.qkv(number, z if number == last else tower.h[number - 1])
            maps.append(naive.softmax(tower.scaled(k, k)))
        attention = (sum(maps) / last)[:, 1:, 1:]
        total = total + 0.5 * tower.out(last, attention @ v[:, 1:])
    return tower.joint(total)


def resclip(tower: Tower, c: Mapping[str, Any]) -> Tensor:
    """ResCLIP's RCS on NACLIP's base: patches "n c"."""
    gain, share = c['cross']
    first, end = c['cross_blocks']
    maps = []
    for number in range(first, end + 1):
        q, k, _ = tower.qkv(number, tower.h[number - 1])
        maps.append(naive.softmax(tower.scaled(q, k)))
    _, k, v = tower.qkv(tower.layers, tower.h[-2])
    base = naive.softmax(tower.scaled(k, k) + naive.neighbours(tower.grid))
    attention = gain * ((1 - share) * base + share * sum(maps) / len(maps))
    return tower.joint(tower.out(tower.layers, attention @ v)[1:])


def proxyclip(tower: Tower, c: Mapping[str, Any], guide: Tensor) -> Tensor:
    """ProxyCLIP with a guide's features "d h w": patches "n c" on its grid."""
    attention = sharpened(cosines(guide.double().flatten(1).T), c['guide_gain'], c['guide_share'])
    _, _, v = tower.qkv(tower.layers, tower.h[-2])
    values = v[:, 1:].transpose(0, 1).flatten(1).unflatten(0, tower.grid)
    rows, columns = (
        naive.resize_matrix(*sides, 'bilinear').clone()
        for sides in zip(tower.grid, guide.shape[1:], strict=True)
    )
    values = torch.einsum('yi,xj,ijd->yxd', rows, columns, values).flatten(0, 1)
    attended = (attention @ values).unflatten(1, (tower.heads, -1)).transpose(0, 1)
    return tower.joint(tower.out(tower.layers, attended))


def patches(
    name: str, arch: Mapping, parameters: Mapping[str, Tensor], row, image: Tensor, guide: Tensor
) -> Tensor:
    """Patches "n c" of one image under a row of the newer methods."""
    c = row.constants
    tower = Tower(arch, parameters, image, quieten(c) if name == 'rfclip' else None)
    if name in ('scclip', 'sfp'):
        return middle_methods(name, tower, c)
    if name == 'proxyclip':
        return proxyclip(tower, c, guide)
    return {'rfclip': rfclip, 'resclip': resclip}[name](tower, c)
