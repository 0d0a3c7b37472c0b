"""The published steps, straightforward: what a user of the papers' code pays. Written from the formulas.

CLIP Surgery (arXiv 2304.05653, sections 3.2 and 3.3, and the released form of feature surgery): the last blocks carry
two streams of all tokens to their end, each with a softmax matrix of its own:

    x = x + O(softmax(s q k^T) v),  x = x + MLP(LN2(x));    y = y + O(softmax(s v v^T) v)
    w = softmax_k(2 <F_0, T_k>) over its mean;   feature (b, n, k, c) = F_i * T_k * w_k
    minus its mean over k, summed over c -> min-max over the tokens -> bilinear to the image -> argmax over k
"""

from typing import Any

from mmseg_clipsurgery.affinities import AFFINITIES
from mmseg_clipsurgery.inference.postprocess import PostProcess
from mmseg_clipsurgery.inference.precision import TowerRunner
from mmseg_clipsurgery.inference.tiled_logits import Size
from mmseg_clipsurgery.inference.windows import windows_of
from mmseg_clipsurgery.structures import TextQueries

import torch
import torch.nn.functional as F
from torch import Tensor


def surgery_tokens(tower: Any, images: Tensor) -> Tensor:
    """Tokens "b 1+n c", class token first, L2-normalised, of images "b 3 H W"."""
    grid, last = tower.grid_of(images.shape[2:]), tower.surgery.last_blocks
    x = tower.patch_embedding(images, grid, 'bilinear')
    for block in tower.visual.transformer.resblocks[:-last]:
        x = block(x)
    y = x
    for block in tower.blocks[-last:]:
        p = block.project(x)
        y = y + block.output(AFFINITIES['vv'].weights(p, slice(None)) @ p.v)
        x = block.feed_forward(x + block.output(AFFINITIES['qk'].weights(p, slice(None)) @ p.v))
    cls, patches = tower.project_tokens(x[:, :1], y[:, 1:], grid)
    return F.normalize(torch.cat([cls[:, None], patches.flatten(2).mT], dim=1), dim=-1)


def feature_surgery(tokens: Tensor, text: Tensor) -> Tensor:
    """Similarity "b 1+n k" of tokens "b 1+n c" and texts "k c", by way of (b, n, k, c)."""
    weights = (2 * tokens[:, :1] @ text.T).softmax(dim=-1)
    weights = weights / weights.mean(dim=-1, keepdim=True)
    features = tokens[:, :, None, :] * text * weights[:, :, :, None]
    return (features - features.mean(dim=2, keepdim=True)).sum(dim=-1)


def labels(tower: Any, images: Tensor, queries: TextQueries) -> Tensor:
    """Images "b 3 H W" -> labels "b H W"."""
    similarity = feature_surgery(surgery_tokens(tower, images), queries.embeddings)[:, 1:]
    low, high = similarity.amin(dim=1, keepdim=True), similarity.amax(dim=1, keepdim=True)
    maps = ((similarity - low) / (high - low)).mT.unflatten(2, tower.grid_of(images.shape[2:]))
    return F.interpolate(maps, size=images.shape[2:], mode='bilinear').permute(0, 2, 3, 1).argmax(dim=-1)


def window_loop(run: TowerRunner, tower: Any, image: Tensor, queries: TextQueries, size: Size) -> Tensor:
    """SCLIP's evaluation loop: labels "H W" at the original size (H, W) of an image "3 h w", one window at a time."""
    total = image.new_zeros(len(queries.embeddings), *image.shape[1:])
    count = image.new_zeros(image.shape[1:])
    for place in places(image):
        window = image[place][None]
        tokens = F.normalize(run(tower, window, class_token=False).patch_tokens.float(), dim=1)
        logits = torch.einsum('bchw,qc->bqhw', tokens, queries.embeddings)
        total[place] += F.interpolate(logits, size=window.shape[2:], mode='bilinear')[0]
        count[place[1:]] += 1
    logits = F.interpolate((total / count)[None], size=size, mode='bilinear')[0]
    rule = PostProcess(queries.class_of, logit_scale=65.0, prob_thd=0.1, area_thd=0.1)
    return rule.label_scores(rule.class_scores(logits.movedim(0, -1)).movedim(-1, 0))


def windows(image: Tensor) -> Tensor:
    """The windows "b 3 224 224" of an image "3 h w"."""
    return torch.stack([image[place] for place in places(image)])


def places(image: Tensor) -> list[tuple[slice, slice, slice]]:
    """Where the windows of 224 x 224 lie, every 112 pixels: all channels, rows, columns."""
    rows, columns = windows_of(tuple(image.shape[1:]), (224, 224), (112, 112))
    return [(slice(None), slice(*row), slice(*column)) for row in rows for column in columns]
