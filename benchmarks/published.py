"""The published steps, straightforward: what a user of the papers' code pays. Written from the formulas.

CLIP Surgery (arXiv 2304.05653, sections 3.2 and 3.3, and the released form of feature surgery): the last blocks carry
two streams of all tokens, each with a softmax matrix of its own:

    x = x + O(softmax(s q k^T) v),  x = x + MLP(LN2(x))        the original path, to its end
    y = y + O(softmax(s v v^T) v)                              the surgery path
    class token from x, patches from y, final LayerNorm and projection, L2-normalised

    w = softmax_k(2 <F_0, T_k>) over its mean;   feature (b, n, k, c) = F_i * T_k * w_k
    minus its mean over k, summed over c -> min-max over the tokens -> bilinear to the image -> argmax over k

SCLIP's evaluation loop: one window at a time, logits upsampled to the window and added up at the image's size, divided
by the number of windows, resized to the original, scaled, softmax over queries, maximum per class, both rules, labels.

Text: each class by itself, all its templates at the tower's full context length.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHARPNESS = 2.0


def surgery_tokens(visual: nn.Module, images: Tensor, heads: int, last_blocks: int = 6) -> Tensor:
    """Tokens "b 1+n c", class token first, L2-normalised, of images "b 3 H W" by open_clip's ViT."""
    x = embed(visual, images)
    blocks = list(visual.transformer.resblocks)
    for block in blocks[:-last_blocks]:
        x = block(x)
    y = x
    for block in blocks[-last_blocks:]:
        q, k, v = projected(block, x, heads)
        scale = q.shape[-1] ** -0.5
        original = (scale * q @ k.transpose(-2, -1)).softmax(dim=-1)
        surgery = (scale * v @ v.transpose(-2, -1)).softmax(dim=-1)
        y = y + joined(block, surgery @ v)
        x = x + joined(block, original @ v)
        x = x + block.mlp(block.ln_2(x))
    tokens = torch.cat([x[:, :1], y[:, 1:]], dim=1)
    return F.normalize(visual.ln_post(tokens) @ visual.proj, dim=-1)


def embed(visual: nn.Module, images: Tensor) -> Tensor:
    """Tokens "b 1+n d" before the first block; the position table is resized bilinearly at every call."""
    patches = visual.conv1(images)
    table = visual.positional_embedding
    grid = table[1:].T.unflatten(1, visual.grid_size)[None]
    grid = F.interpolate(grid, size=patches.shape[2:], mode='bilinear', align_corners=False)
    first = visual.class_embedding.expand(len(images), 1, -1) + table[:1]
    return visual.ln_pre(torch.cat([first, (patches + grid).flatten(2).transpose(1, 2)], dim=1))


def projected(block: nn.Module, x: Tensor, heads: int) -> Sequence[Tensor]:
    """q, k, v of a block, each "b a n e"."""
    qkv = F.linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias)
    return [part.unflatten(2, (heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=2)]


def joined(block: nn.Module, read: Tensor) -> Tensor:
    """Heads "b a n e" side by side, through the block's output projection: "b n d"."""
    return F.linear(read.transpose(1, 2).flatten(2), block.attn.out_proj.weight, block.attn.out_proj.bias)


def feature_surgery(tokens: Tensor, text: Tensor) -> Tensor:
    """Similarity "b 1+n k" of tokens "b 1+n c" and texts "k c", by way of (b, n, k, c)."""
    weights = (SHARPNESS * tokens[:, :1] @ text.T).softmax(dim=-1)
    weights = weights / weights.mean(dim=-1, keepdim=True)
    features = tokens[:, :, None, :] * text * weights[:, :, :, None]
    return (features - features.mean(dim=2, keepdim=True)).sum(dim=-1)


def similarity_maps(similarity: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Maps "b H W k" in [0, 1] from the patches' similarity "b n k"."""
    low, high = similarity.amin(dim=1, keepdim=True), similarity.amax(dim=1, keepdim=True)
    maps = ((similarity - low) / (high - low)).transpose(1, 2).unflatten(2, grid)
    return F.interpolate(maps, size=size, mode='bilinear').permute(0, 2, 3, 1)


def labels(visual: nn.Module, images: Tensor, text: Tensor, heads: int, last_blocks: int = 6) -> Tensor:
    """Images "b 3 H W" and texts "k c" -> labels "b H W"."""
    patch = visual.conv1.kernel_size[0]
    height, width = images.shape[2:]
    similarity = feature_surgery(surgery_tokens(visual, images, heads, last_blocks), text)
    maps = similarity_maps(similarity[:, 1:], (height // patch, width // patch), (height, width))
    return maps.argmax(dim=-1)


def window_loop(
    encode: Callable[[Tensor], Tensor],
    image: Tensor,
    text: Tensor,
    class_of: Tensor,
    size: tuple[int, int],
    crop: int = 224,
    stride: int = 112,
    scale: float = 65.0,
    prob_thd: float = 0.1,
    area_thd: float = 0.1,
) -> Tensor:
    """Labels "H W" of one image "3 h w" at the original size, one window after the other.

    Args:
        encode: pixels "1 3 h w" -> patch tokens "1 c gh gw", not normalised.
    """
    total, count = image.new_zeros(len(text), *image.shape[1:]), image.new_zeros(image.shape[1:])
    for top in starts(image.shape[1], crop, stride):
        for left in starts(image.shape[2], crop, stride):
            window = image[None, :, top : top + crop, left : left + crop]
            logits = torch.einsum('bchw,qc->bqhw', F.normalize(encode(window), dim=1), text)
            logits = F.interpolate(logits, size=window.shape[2:], mode='bilinear')[0]
            total[:, top : top + crop, left : left + crop] += logits
            count[top : top + crop, left : left + crop] += 1
    logits = F.interpolate((total / count)[None], size=size, mode='bilinear')[0]
    return ruled(class_scores((scale * logits).softmax(dim=0), class_of), prob_thd, area_thd)


def starts(length: int, crop: int, stride: int) -> list[int]:
    count = max(length - crop + stride - 1, 0) // stride + 1
    return [max(min(i * stride, length - crop), 0) for i in range(count)]


def class_scores(scores: Tensor, class_of: Tensor) -> Tensor:
    """Scores of queries "q H W" -> of classes "k H W": the maximum over each class's queries."""
    return torch.stack([scores[class_of == k].amax(dim=0) for k in range(int(class_of.max()) + 1)])


def ruled(scores: Tensor, prob_thd: float, area_thd: float) -> Tensor:
    """Class scores "k H W" -> labels "H W": the area rule, argmax, the probability threshold."""
    areas = torch.bincount(scores.argmax(dim=0).flatten(), minlength=len(scores))
    foreground = areas[1:].sum()
    for k in range(1, len(scores)):
        if areas[k] <= area_thd * foreground:
            scores[k] = 0
    best, found = scores.max(dim=0)
    found[best < prob_thd] = 0
    return found


def text_by_class(encode: Callable[[Tensor], Tensor], ids: Tensor) -> Tensor:
    """Embeddings "k c" of token ids "k t l", one class at a time, at full length."""
    found = []
    for texts in ids:
        mean = F.normalize(encode(texts), dim=-1).mean(dim=0)
        found.append(F.normalize(mean, dim=-1))
    return torch.stack(found)
