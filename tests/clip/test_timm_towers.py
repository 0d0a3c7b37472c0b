"""timm's towers (ViTs, SigLIP, Perception Encoder): open_clip's own output, the long way, any size and batch.

Each is the published config with small sizes, see `tiny_timm`.
"""

import copy
from functools import cache

import golden
import rows
import tiny
import tiny_timm
from cases import slow_but
from mmseg_clipsurgery import EXPLAINERS, SURGERIES, Surgery
from mmseg_clipsurgery.inference.precision import TowerRunner
from mmseg_clipsurgery.similarity import grid_logits, normalize
from mmseg_clipsurgery.structures import TextQueries

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

POOLED = ('SigLIP', 'SigLIP 2', 'PE', 'PE without class token')
TOKENLESS = ('SigLIP', 'SigLIP 2', 'PE without class token')
FEW = ('SigLIP', 'PE', 'EVA-02')
KINDS = slow_but(FEW, tiny_timm.KINDS)


@cache
def tower(kind):
    """The tower of a kind; nobody changes it."""
    return tiny_timm.tower(kind)


def images(kind: str, count: int, *grid: int) -> Tensor:
    """White noise of so many patches; the trained size by default."""
    height, width = (side * tower(kind).patch for side in grid or (3, 3))
    return tiny.images(count, 3, height, width)


@torch.no_grad()
def read(kind: str, given: Tensor, surgery, **settings) -> tuple[Tensor, Tensor]:
    """(image embedding "b c", patches "b n c")."""
    tokens = tower(kind)(given, surgery=surgery, guide=guide(given), **settings)
    return tokens.cls_token, tokens.patch_tokens.flatten(2).mT


def guide(given: Tensor) -> Tensor:
    """What stands for a second tower's features of images: themselves, on a grid of 6 x 7."""
    return F.interpolate(given, (6, 7))


def allowed(kind: str) -> dict[str, Surgery]:
    """The surgeries that a kind can be read by, with constants for 6 blocks."""
    without = {'scclip', 'sfp'} if kind in TOKENLESS else set()
    return {name: rows.fitted(name) for name in SURGERIES if name not in without}


PAIRS = [  # every surgery for one tower of each family, two surgeries for the others
    pytest.param(kind, name, marks=[] if kind in FEW and name == 'clip_surgery' else pytest.mark.slow)
    for kind in tiny_timm.KINDS
    for name in (allowed(kind) if kind in FEW else ('clip_surgery', 'resclip'))
]


def dense(visual, x: Tensor) -> Tensor:
    """Tokens "b n d" that leave timm's blocks -> patches in the joint space, by timm's own modules."""
    trunk = visual.trunk
    x = trunk.norm(x)[:, trunk.num_prefix_tokens :]
    if trunk.attn_pool is not None:
        x = torch.stack([trunk.attn_pool(token[:, None]) for token in x.unbind(1)], dim=1)
    return trunk.head(trunk.fc_norm(x))


def walked(visual, given: Tensor, blocks) -> list[Tensor]:
    """The tokens that enter timm's first block, then those that leave each of some blocks."""
    trunk = visual.trunk
    made = trunk._pos_embed(trunk.patch_embed(given))
    x, rope = made if isinstance(made, tuple) else (made, None)
    found = [trunk.norm_pre(x)]
    for block in blocks:
        found.append(block(found[-1], **({} if rope is None else {'rope': rope})))
    return found


@pytest.mark.parametrize('kind', KINDS)
def test_zero_blocks_are_open_clips_own_tokens(kind):
    given, visual = images(kind, 3), tiny_timm.clip(kind).visual
    first, patches = read(kind, given, 'clip')
    with torch.no_grad():
        golden.assert_close(first, visual(given), 1e-5)
        golden.assert_close(patches, dense(visual, walked(visual, given, visual.trunk.blocks)[-1]), 1e-5)


@pytest.mark.parametrize('kind', slow_but(['PE'], tiny_timm.KINDS))
def test_another_grid_is_timms_own(kind):
    """Tables and rotary positions of a tower that timm has made for another size."""
    visual = copy.deepcopy(tiny_timm.clip(kind).visual)
    given = images(kind, 2, 2, 5)
    visual.trunk.set_input_size(tuple(given.shape[2:]))
    first, patches = read(kind, given, Surgery(0, position='bicubic_antialias'))
    with torch.no_grad():
        golden.assert_close(first, visual(given), 1e-5)
        golden.assert_close(patches, dense(visual, walked(visual, given, visual.trunk.blocks)[-1]), 1e-5)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('last_blocks', [1, 4])
def test_plain_attention_on_the_side_is_clip(kind, last_blocks):
    given = images(kind, 1, 4, 3)
    side = read(kind, given, Surgery(last_blocks, 'qk', residual=True, ffn=True))
    for found, wanted in zip(side, read(kind, given, 'clip'), strict=True):
        golden.assert_close(found, wanted, 2e-6)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('parts', ['vvv', 'kkv'])
def test_self_attention_is_timms_own_with_other_vectors(kind, parts, monkeypatch):
    """y + O(A v): timm's own attention, of which q and k are replaced, over CLIP's tokens in the last 4 blocks."""
    given, visual = images(kind, 1), tiny_timm.clip(kind).visual
    attend, blocks = F.scaled_dot_product_attention, list(visual.trunk.blocks)
    with torch.no_grad():
        entering = walked(visual, given, blocks)
        y = entering[2]
        with monkeypatch.context() as patch:
            patch.setattr(
                F,
                'scaled_dot_product_attention',
                lambda q, k, v, **settings: attend(*({'k': k, 'v': v}[part] for part in parts)),
            )
            for block, x in zip(blocks[2:], entering[2:-1], strict=True):
                y = y + attention_alone(block, x, visual.trunk, given)
        _, patches = read(kind, given, Surgery(4, parts[:2], residual=True, ffn=False))
        golden.assert_close(patches, dense(visual, y), 1e-5)


def attention_alone(block, x: Tensor, trunk, given: Tensor) -> Tensor:
    """What timm's block adds to the tokens x "b n d" by attention."""
    made = trunk._pos_embed(trunk.patch_embed(given))
    rope = {'rope': made[1]} if isinstance(made, tuple) else {}
    after = type(block).__name__ == 'EvaBlockPostNorm'
    return block.norm1(block.attn(x, **rope)) if after else block.attn(block.norm1(x), **rope)


@pytest.mark.parametrize(('kind', 'name'), PAIRS)
def test_every_surgery_that_is_allowed(kind, name):
    """A batch is its images, at another size and back; permuting the texts permutes the maps."""
    surgery, small, large = allowed(kind)[name], images(kind, 2), images(kind, 2, 4, 5)
    before, batch = read(kind, small, surgery), read(kind, large, surgery)
    for found, parts in zip(
        batch, zip(*(read(kind, one[None], surgery) for one in large), strict=True), strict=True
    ):
        golden.assert_close(found, torch.cat(parts), 5e-6)
    assert all(map(torch.equal, read(kind, small, surgery), before))
    with torch.no_grad():
        tokens = tower(kind)(large, surgery=surgery, guide=guide(large))
    texts = normalize(tiny.images(3, batch[0].shape[1]))
    order = [2, 0, 1]
    maps, permuted = (
        grid_logits(tokens, TextQueries(rows, torch.arange(3)), 'released') for rows in (texts, texts[order])
    )
    assert maps.shape == (2, 3, *tokens.patch_tokens.shape[2:])
    golden.assert_close(permuted, maps[:, order], 1e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_many_surgeries_equal_one_by_one_to_the_bit(kind):
    given, wanted = images(kind, 1, 3, 4), allowed(kind)
    with torch.no_grad():
        for name, tokens in tower(kind).read_many(given, wanted, guide=guide(given)).items():
            alone = tower(kind)(given, surgery=wanted[name], guide=guide(given))
            assert torch.equal(tokens.patch_tokens, alone.patch_tokens), name
            assert torch.equal(tokens.cls_token, alone.cls_token), name


@pytest.mark.parametrize('kind', KINDS)
def test_patches_without_the_image_embedding_are_the_same(kind):
    given = images(kind, 1, 4, 3)
    first, patches = read(kind, given, 'clip_surgery', class_token=False)
    assert first is None
    golden.assert_close(patches, read(kind, given, 'clip_surgery')[1], 1e-6)


@pytest.mark.parametrize('kind', KINDS)
def test_layer_reads_the_patches_of_an_earlier_block(kind):
    given, visual = images(kind, 2), tiny_timm.clip(kind).visual
    early = tiny_timm.tower(kind, 'clip', layer=4)
    with torch.no_grad():
        tokens = early(given)
        golden.assert_close(tokens.cls_token, visual(given), 1e-5)
        leaving = walked(visual, given, visual.trunk.blocks)[4]
        golden.assert_close(tokens.patch_tokens.flatten(2).mT, dense(visual, leaving), 1e-5)
        side = early(given, surgery=Surgery(4, 'qk', residual=True, ffn=True))
        golden.assert_close(side.patch_tokens, tokens.patch_tokens, 2e-6)
    with pytest.raises(ValueError, match=r'reads the last 6 blocks, .* has 4; give'):
        early(given, surgery='clip_surgery')


@pytest.mark.parametrize('kind', slow_but([], FEW))
@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_low_precision(kind, precision):
    given, exact = images(kind, 1, 4, 5), read(kind, images(kind, 1, 4, 5), 'clip_surgery')
    with torch.no_grad():
        tokens = TowerRunner(precision)(tower(kind), given, class_token=True)
    for found, wanted in zip((tokens.cls_token, tokens.patch_tokens.flatten(2).mT), exact, strict=True):
        assert F.cosine_similarity(found.float(), wanted, dim=-1).min() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['EVA-02', 'MobileCLIP-B'])
@pytest.mark.parametrize(
    'name', ['attention', 'rollout', 'grad_cam', 'relevance_all', 'grad_eclip', 'legrad']
)
def test_explainers_read_a_class_token(kind, name):
    given, texts = images(kind, 2, 3, 4), normalize(tiny.images(2, 12))
    batch = EXPLAINERS[name](tower(kind), given, texts)
    assert batch.shape == (2, 2, 3, 4)
    assert batch.std() > 0
    singles = [EXPLAINERS[name](tower(kind), one[None], texts) for one in given]
    golden.assert_close(batch, torch.cat(singles), 2e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_stages_hold_each_weight_once_from_the_output_down(kind):
    stages = tower(kind).stages
    assert list(stages) == ['output', *(f'block {number}' for number in range(6, 0, -1)), 'input']
    assert all(stages.values())
    weights = [id(weight) for stage in stages.values() for weight in stage]
    assert sorted(weights) == sorted(map(id, tower(kind).visual.parameters()))


def of(kind: str, **settings):
    return lambda: tiny_timm.tower(kind, **settings)


ERRORS = {
    'class token that is not there': (
        of('SigLIP', surgery=rows.fitted('scclip')),
        'looks at the class token of earlier blocks, and .* has none; use',
    ),
    'sinks of another tower': (
        of('PE', surgery='rfclip'),
        "sink channels of 'rfclip' are .*; give own numbers",
    ),
    'layer beyond the last': (of('PE', layer=7), 'layer is the number of a block, 1 to 6 of .*, got 7'),
    'layer of a switch': (of('PE', layer=True), 'layer is the number of a block, 1 to 6 of .*, got True'),
    'layer of a ResNet': (lambda: tiny.resnet(layer=1), 'has no blocks to choose from, so leave layer=1 out'),
    'explainer of a class token': (
        lambda: EXPLAINERS['legrad'](tower('PE'), images('PE', 1), torch.ones(1, 12)),
        'is a Perception Encoder, and this explainer reads the class token',
    ),
}


@pytest.mark.parametrize(('action', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(action, message):
    with pytest.raises(ValueError, match=message) as caught:
        action()
    assert '\n' not in str(caught.value)
