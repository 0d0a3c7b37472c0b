"""Explainers and their variants against numbers of the authors' codes, `tests/golden/explain`.

Files are named after their authors' codes; towers, images, `settings` are those of `golden_newest`, texts are stored.
`grad_eclip_heads` is the released code with the number of heads put right, `grad_eclip_released` as it is.
"""

import json
from functools import cache, partial

import golden
import golden_newest
from mmseg_clipsurgery.explainers.attention_maps import attention, rollout
from mmseg_clipsurgery.explainers.grad_cam import grad_cam
from mmseg_clipsurgery.explainers.grad_eclip import grad_eclip, grad_eclip_blocks
from mmseg_clipsurgery.explainers.legrad import legrad_layers
from mmseg_clipsurgery.explainers.relevance import relevance
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.explainers.walk import Walk

import pytest
import torch

FOLDER = golden.FOLDER / 'explain'


@cache
def tower_of(tower: str):
    return golden_newest.vit(json.loads(tower), 'clip')


@cache
def inputs(name: str):
    """(arrays, tower, image) of one file."""
    arrays, settings = golden_newest.load(name, FOLDER)
    image = golden_newest.image(settings)
    assert torch.equal(image.flatten()[:16], arrays['image_head'])
    return arrays, tower_of(json.dumps(settings['tower'])), image


# File without its tower and size -> array -> (walk, texts) -> its values; what the shipped rows don't give.
VARIANTS = {
    'chefer_from6': {'maps': partial(relevance, blocks=6)},
    'rollout_last': {'map': partial(rollout, blocks=1)},
    'gradcam_library_cosine': {'signed': partial(grad_cam, signed=True)},
    'gradcam_library_softmax': {'signed': partial(grad_cam, softmax_scale=20.0, signed=True)},
    'legrad': {'layers': partial(legrad_layers, blocks=2)},
    'legrad_all': {'layers': legrad_layers},
    **{
        f'grad_eclip_{heads}': {
            'notebook_3': partial(grad_eclip_blocks, blocks=3, one_head=one_head),
            'maps': partial(grad_eclip, one_head=one_head, keys='projected'),
            'without_similarity': partial(grad_eclip, one_head=one_head, keys='none'),
            'grad_cam': partial(grad_cam, before_norm=True, one_head=one_head),
            'attention': partial(attention, one_head=one_head),
        }
        for heads, one_head in (('heads', False), ('released', True))
    },
}
CASES = [
    (name, array)
    for name in golden_newest.names(folder=FOLDER)
    for array in VARIANTS.get(name.partition('_vit12')[0], {})
]
# Explainer -> (file without its tower and size, array).
SHIPPED = {
    'relevance': ('chefer_last', 'maps'),
    'relevance_all': ('chefer_all', 'maps'),
    'attention': ('rollout', 'attention'),
    'rollout': ('rollout', 'map'),
    'grad_eclip': ('grad_eclip_heads', 'notebook_1'),
    'grad_eclip_one_head': ('grad_eclip_released', 'notebook_1'),
    'grad_cam': ('gradcam_library_cosine', 'signed'),
    'legrad': ('legrad', 'maps'),
    'legrad_all': ('legrad_all', 'maps'),
    'clip': ('raw', 'cosines'),
    'clip:released': ('raw', 'surgery'),
}
SHIPPED_CASES = [
    (explainer, name, array)
    for explainer, (stem, array) in SHIPPED.items()
    for name in golden_newest.names(f'{stem}_vit12*', FOLDER)
]


@pytest.mark.parametrize(('name', 'array'), CASES, ids=lambda value: value)
def test_variants(name, array):
    arrays, tower, image = inputs(name)
    position = 'bicubic_antialias' if name.startswith('legrad') else 'bicubic'
    found = VARIANTS[name.partition('_vit12')[0]][array](Walk(tower, image, position), arrays['queries'])
    found = torch.cat(found) if isinstance(found, list) else found[0]
    golden.assert_close(found.squeeze(0) if arrays[array].dim() == 2 else found, arrays[array])


@pytest.mark.parametrize(('explainer', 'name', 'array'), SHIPPED_CASES, ids=lambda value: value)
def test_rows(explainer, name, array):
    arrays, tower, image = inputs(name)
    wanted = arrays[array].relu() if array == 'signed' else arrays[array]
    with torch.inference_mode():
        (found,) = EXPLAINERS[explainer](tower, image, arrays['queries'])
    if array in ('attention', 'map'):
        wanted = wanted.expand(3, -1, -1)
    golden.assert_close(found.flatten(1) if wanted.dim() == 2 else found, wanted)


def test_every_file_is_compared():
    stems = {name.partition('_vit12')[0] for name in golden_newest.names(folder=FOLDER)}
    assert stems == {*VARIANTS, *(stem for stem, _ in SHIPPED.values())}
