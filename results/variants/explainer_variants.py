"""Explainers as released codes have them, beside the package's own: what their traps cost.

    python tools/faithfulness.py --import results/variants/explainer_variants.py --tests prompts --images 100 \\
        --explainers grad_eclip grad_eclip_one_head grad_eclip_projected ... --out results/variants

`docs/explain.md` has the whole command, and what came out.
"""

from functools import partial

from mmseg_clipsurgery import EXPLAINERS, SURGERIES
from mmseg_clipsurgery.explainers.attention_maps import attention, rollout
from mmseg_clipsurgery.explainers.explainer import Explainer
from mmseg_clipsurgery.explainers.grad_cam import grad_cam
from mmseg_clipsurgery.explainers.grad_eclip import grad_eclip
from mmseg_clipsurgery.explainers.legrad import legrad_layers
from mmseg_clipsurgery.explainers.relevance import relevance
from mmseg_clipsurgery.explainers.walk import Walk
from mmseg_clipsurgery.similarity import feature_surgery

import torch
from torch import Tensor
from torch.nn import functional

SURGERY = SURGERIES['clip_surgery']


def normalised_along_tokens(walk: Walk, text: Tensor) -> Tensor:
    """Feature surgery of features that are divided by their norm over tokens in place of channels, "b t h w".

    As in the evaluation of Grad-ECLIP, where CLIP Surgery is a baseline.
    """
    tokens = walk.tokens(SURGERY)
    features = torch.cat([tokens.cls_token[:, None], tokens.patch_tokens.flatten(2).mT], dim=1)
    features = functional.normalize(features, dim=1)
    maps = feature_surgery(features[:, 0], features[:, 1:], text, 'released')
    return maps.mT.unflatten(-1, walk.grid)


def balanced_legrad(walk: Walk, text: Tensor) -> Tensor:
    """LeGrad over all blocks, each block's map divided by its mean (a map of zeros stays) before the sum, "b t h w"."""
    layers = legrad_layers(walk, text)
    means = [layer.mean(dim=(2, 3), keepdim=True) for layer in layers]
    return sum(layer / mean.where(mean > 0, 1) for layer, mean in zip(layers, means, strict=True))


def by_gradients(title: str, maps, **settings) -> Explainer:
    """A row that takes gradients."""
    return Explainer(title, maps, differentiates=True, **settings)


EXPLAINERS.update(
    {
        'attention_one_head': Explainer(
            'attention, one head', partial(attention, one_head=True), reads_text=False
        ),
        'rollout_last': Explainer('rollout of the last block', partial(rollout, blocks=1), reads_text=False),
        'grad_eclip_projected': by_gradients(
            'Grad-ECLIP, q and k after the output projection', partial(grad_eclip, keys='projected')
        ),
        'grad_eclip_released': by_gradients(
            'the same with one head (its evaluation)', partial(grad_eclip, one_head=True, keys='projected')
        ),
        'grad_eclip_without_keys': by_gradients(
            'Grad-ECLIP without the keys', partial(grad_eclip, keys='none')
        ),
        'grad_cam_softmax': by_gradients(
            'Grad-CAM of the softmax over the prompts', partial(grad_cam, softmax_scale=100.0)
        ),
        'grad_cam_before_norm': by_gradients(
            'Grad-CAM of tokens before LN1', partial(grad_cam, before_norm=True)
        ),
        'relevance_all_scale_1': by_gradients(
            'relevance, all blocks, logit scale 1', partial(relevance, scale=1.0)
        ),
        'legrad_balanced': by_gradients(
            'LeGrad, all blocks, each divided by its mean', balanced_legrad, position='bicubic_antialias'
        ),
        'surgery_token_norm': Explainer(
            'clip_surgery + feature surgery, features normalised along tokens',
            normalised_along_tokens,
            surgery=SURGERY,
            similarity='released',
        ),
    }
)
