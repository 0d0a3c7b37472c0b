"""The methods written out a second time, slowly and plainly: what the towers are compared with.

Nothing of the package or of open_clip is used: parameters come by OpenAI's name from a dict, attention goes head by
head with whole matrices, position tables are resized by their formulas, everything in double precision.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Parameters = Mapping[str, Tensor]


def softmax(logits: Tensor) -> Tensor:
    weights = torch.exp(logits - logits.amax(dim=-1, keepdim=True))
    return weights / weights.sum(dim=-1, keepdim=True)


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.pow(2).sum(dim=-1, keepdim=True).sqrt()


def read(affinity: str, q: Tensor, k: Tensor, v: Tensor, stream: Tensor, grid: tuple[int, int]) -> Tensor:
    """A v of one image and one head. q, k, v "n e" and the normed stream "n d", class token first -> "n e"."""
    scale = v.shape[-1] ** -0.5
    matrices = {
        'identity': lambda: torch.eye(len(v), dtype=v.dtype),
        'qk': lambda: softmax(scale * q @ k.T),
        'qq': lambda: softmax(scale * q @ q.T),
        'kk': lambda: softmax(scale * k @ k.T),
        'vv': lambda: softmax(scale * v @ v.T),
        'qq+kk': lambda: softmax(scale * q @ q.T) + softmax(scale * k @ k.T),
        'kk+gauss': lambda: softmax(scale * k @ k.T + neighbours(grid).to(v)),
        'gem': lambda: gem(q, k, v, scale * stream.pow(2).sum(dim=-1).sqrt().mean()),
    }
    return matrices[affinity]() @ v


def neighbours(grid: tuple[int, int]) -> Tensor:
    """NACLIP's prior "n n", cell by cell."""
    cells = [(y, x) for y in range(grid[0]) for x in range(grid[1])]
    prior = torch.zeros(1 + len(cells), 1 + len(cells), dtype=torch.float64)
    for i, (y, x) in enumerate(cells):
        for j, (other_y, other_x) in enumerate(cells):
            prior[1 + i, 1 + j] = math.exp(-((y - other_y) ** 2 + (x - other_x) ** 2) / (2 * 5**2))
    return prior


def gem(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """GEM's matrix "n n": the mean over v, k and q."""
    total = torch.zeros(len(v), len(v), dtype=v.dtype)
    for p in (v, k, q):
        p = unit(p)
        p = unit(softmax(temperature * p @ p.T) @ p)
        total += softmax(temperature * p @ p.T) / 3
    return total


def resize_table(table: Tensor, trained: tuple[int, int], grid: tuple[int, int], position: str) -> Tensor:
    """Position table "1+n d" for another grid."""
    if grid == trained:
        return table
    rows, columns = (resize_matrix(*sides, position) for sides in zip(trained, grid, strict=True))
    image = table[1:].unflatten(0, trained)
    image = torch.einsum('yi,xj,ijd->yxd', rows.to(table), columns.to(table), image)
    return torch.cat([table[:1], image.flatten(0, 1)])


def resize_matrix(have: int, want: int, position: str) -> Tensor:
    """Weights "want have" of a resize along one side."""
    matrix = torch.zeros(want, have, dtype=torch.float64)
    for i in range(want):
        if position == 'bicubic_antialias':
            stretch = max(have / want, 1)
            centre = (i + 0.5) * have / want
            weights = {
                j: cubic((j + 0.5 - centre) / stretch, -0.5)
                for j in range(have)
                if abs(j + 0.5 - centre) < 2 * stretch
            }
            for j, weight in weights.items():
                matrix[i, j] += weight / sum(weights.values())
            continue
        factor = (want + 0.1) / have if position == 'bicubic_scale' else want / have
        centre = (i + 0.5) / factor - 0.5
        if position == 'bilinear':
            centre = max(centre, 0)
        for j in range(math.floor(centre) - 1, math.floor(centre) + 3):
            distance = abs(centre - j)
            weight = max(1 - distance, 0) if position == 'bilinear' else cubic(distance, -0.75)
            matrix[i, min(max(j, 0), have - 1)] += weight
    return matrix


def cubic(x: float, a: float) -> float:
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def double(parameters: Parameters) -> dict[str, Tensor]:
    return {name: value.double() for name, value in parameters.items()}


def layer_norm(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    if f'{name}.weight' not in parameters:
        return x
    x = x - x.mean(dim=-1, keepdim=True)
    x = x / (x.pow(2).mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    return x * parameters[f'{name}.weight'] + parameters[f'{name}.bias']


def gelu(quick: bool) -> Callable[[Tensor], Tensor]:
    if quick:
        return lambda x: x / (1 + torch.exp(-1.702 * x))
    return lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2


def vit(arch: Mapping, parameters: Parameters, surgery, images: Tensor) -> tuple[Tensor, Tensor]:
    """(class token "b c", patch tokens "b n c") of a ViT under a surgery, image by image."""
    found = [vit_of_one(arch, double(parameters), surgery, image.double()) for image in images]
    return torch.stack([first for first, _ in found]), torch.stack([patches for _, patches in found])


def vit_of_one(arch: Mapping, p: Parameters, surgery, image: Tensor) -> tuple[Tensor, Tensor]:
    vision = arch['vision_cfg']
    patch, act = vision['patch_size'], gelu(arch.get('quick_gelu', False))
    heads = vision['width'] // vision.get('head_width', 64)
    size = vision['image_size']
    height, width = (size, size) if isinstance(size, int) else size
    grid = (image.shape[1] // patch, image.shape[2] // patch)
    cells = [
        image[:, patch * y : patch * (y + 1), patch * x : patch * (x + 1)]
        for y in range(grid[0])
        for x in range(grid[1])
    ]
    weight = p['visual.conv1.weight'].flatten(1)
    x = torch.stack([p['visual.class_embedding']] + [weight @ cell.flatten() for cell in cells])
    table = p['visual.positional_embedding']
    x = x + resize_table(table, (height // patch, width // patch), grid, surgery.position)
    x = layer_norm(p, 'visual.ln_pre', x)

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ p[f'{name}.weight'].T + p[f'{name}.bias']

    def scaled(name: str, x: Tensor) -> Tensor:
        return x * p[f'{name}.gamma'] if f'{name}.gamma' in p else x

    def mlp(block: str, x: Tensor) -> Tensor:
        hidden = act(linear(f'{block}.mlp.c_fc', layer_norm(p, f'{block}.ln_2', x)))
        return scaled(f'{block}.ls_2', linear(f'{block}.mlp.c_proj', hidden))

    y = None
    layers = vision['layers']
    for index in range(layers):
        block = f'visual.transformer.resblocks.{index}'
        stream = layer_norm(p, f'{block}.ln_1', x)
        qkv = stream @ p[f'{block}.attn.in_proj_weight'].T + p[f'{block}.attn.in_proj_bias']
        q, k, v = (part.unflatten(1, (heads, -1)).unbind(1) for part in qkv.chunk(3, dim=1))

        def attention(affinity: str, q=q, k=k, v=v, stream=stream, block=block) -> Tensor:
            parts = [read(affinity, q[h], k[h], v[h], stream, grid) for h in range(heads)]
            return scaled(f'{block}.ls_1', linear(f'{block}.attn.out_proj', torch.cat(parts, dim=1)))

        if index == layers - surgery.last_blocks:
            y = x.clone() if surgery.residual else torch.zeros_like(x)
        if y is not None:
            y = y + attention(surgery.affinity)
            y = y + mlp(block, y) if surgery.ffn else y
        x = x + attention('qk')
        x = x + mlp(block, x)
    joint = torch.cat([x[:1], (x if y is None else y)[1:]])
    joint = layer_norm(p, 'visual.ln_post', joint) @ p['visual.proj']
    return joint[0], joint[1:]


def resnet(
    arch: Mapping, parameters: Parameters, surgery, images: Tensor, paper: bool = False
) -> tuple[Tensor, Tensor]:
    """(class token "b c", patch tokens "b n c") of a ModifiedResNet under a surgery; grid from its own strides."""
    p = double(parameters)
    vision = arch['vision_cfg']
    x = resnet_trunk(p, vision['layers'], images.double())
    grid = tuple(x.shape[2:])
    side = vision['image_size'] // 32
    heads = vision['width'] * 32 // vision.get('head_width', 64)
    table = resize_table(p['visual.attnpool.positional_embedding'], (side, side), grid, surgery.position)
    found = [resnet_pool(p, one.flatten(1).T, table, heads, grid, surgery, paper) for one in x]
    joint = torch.stack(found)
    return joint[:, 0], joint[:, 1:]


def resnet_trunk(p: Parameters, layers: list[int], x: Tensor) -> Tensor:
    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            p[f'visual.{name}.{part}'][:, None, None]
            for part in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def conv(name: str, x: Tensor, **settings) -> Tensor:
        return F.conv2d(x, p[f'visual.{name}.weight'], **settings)

    for index in (1, 2, 3):
        stride = 2 if index == 1 else 1
        x = norm(f'bn{index}', conv(f'conv{index}', x, stride=stride, padding=1)).clamp_min(0)
    x = F.avg_pool2d(x, 2)
    for layer, count in enumerate(layers, start=1):
        for index in range(count):
            name = f'layer{layer}.{index}'
            stride = 2 if layer > 1 and index == 0 else 1
            out = norm(f'{name}.bn1', conv(f'{name}.conv1', x)).clamp_min(0)
            out = norm(f'{name}.bn2', conv(f'{name}.conv2', out, padding=1)).clamp_min(0)
            out = norm(f'{name}.bn3', conv(f'{name}.conv3', F.avg_pool2d(out, stride)))
            if index == 0:
                x = norm(f'{name}.downsample.1', conv(f'{name}.downsample.0', F.avg_pool2d(x, stride)))
            x = (out + x).clamp_min(0)
    return x


def resnet_pool(
    p: Parameters, x: Tensor, table: Tensor, heads: int, grid: tuple[int, ...], surgery, paper: bool
) -> Tensor:
    """Feature map "n d" of one image -> tokens "1+n c"."""
    x = torch.cat([x.mean(dim=0, keepdim=True), x]) + table
    q, k, v = (
        (x @ p[f'visual.attnpool.{name}.weight'].T + p[f'visual.attnpool.{name}.bias']).unflatten(
            1, (heads, -1)
        )
        for name in ('q_proj', 'k_proj', 'v_proj')
    )
    affinity = surgery.affinity if surgery.last_blocks else 'qk'
    parts = []
    for h in range(heads):
        part = read(affinity, q[:, h], k[:, h], v[:, h], x, grid)
        if paper:  # as the authors' code does with its setting 'resnet'
            keys = v[:, h] / (v[:, h].norm(dim=-1, keepdim=True) + 1e-6)
            sharp = softmax(8 * v.shape[-1] ** -0.5 * keys @ keys.T) @ v[:, h]
            part = torch.cat([part[:1], sharp[1:]])
        parts.append(part)
    joint = torch.cat(parts, dim=1)
    return joint @ p['visual.attnpool.c_proj.weight'].T + p['visual.attnpool.c_proj.bias']
