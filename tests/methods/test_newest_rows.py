"""The newer rows on towers: the long way, batches, company, own constants, and what is refused."""

import dataclasses

import golden
import naive_newest
import rows
import tiny
from cases import slow_but
from mmseg_clipsurgery.affinities import AFFINITIES, gauss_bias
from mmseg_clipsurgery.clip.archs import model_config
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.compatibility import check_surgery
from mmseg_clipsurgery.methods.same_label import SameLabelFeedback
from mmseg_clipsurgery.surgery import SURGERIES, Surgery
from mmseg_clipsurgery.traces import TRACES, Trace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

ARCHS = {
    'six blocks': tiny.changed(tiny.SMALL, vision_cfg={'layers': 6}),
    'eight, wide, QuickGELU': tiny.changed(
        tiny.SMALL,
        quick_gelu=True,
        vision_cfg={'layers': 8, 'width': 48, 'head_width': 12, 'patch_size': 8, 'image_size': 32},
    ),
}
SIX = ARCHS['six blocks']
GRIDS = {'trained': (4, 4), 'wide': (3, 5), 'high': (6, 2)}


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def inputs(arch, batch: int, grid: tuple[int, int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """(images "b 3 H W", features of a second tower of twice the resolution)."""
    patch = arch['vision_cfg']['patch_size']
    images = tiny.images(batch, 3, grid[0] * patch + 1, grid[1] * patch, seed=seed)
    return images, tiny.images(batch, 10, 2 * grid[0], 2 * grid[1] + 1, seed=seed + 1) + 0.7


def flat(tokens) -> Tensor:
    """Patches "b n c"."""
    return tokens.patch_tokens.flatten(2).mT


@pytest.mark.parametrize('grid', GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize('arch', ARCHS.values(), ids=ARCHS.keys())
@pytest.mark.parametrize('name', rows.NEWER)
def test_rows_equal_the_long_way(name, arch, grid):
    """In double, where no threshold is met by rounding; position tables are resized in single precision."""
    row = rows.fitted(name, arch['vision_cfg']['layers'])
    images, guide = inputs(arch, 2, grid)
    found = flat(tiny.vit(row, arch).double()(images.double(), guide=guide.double()))
    parameters = tiny.tensors(arch)
    wanted = [
        naive_newest.patches(name, arch, parameters, row, *pair) for pair in zip(images, guide, strict=True)
    ]
    golden.assert_close(found, torch.stack(wanted), 5e-6)


@pytest.mark.slow
def test_shipped_rows_equal_the_long_way_at_full_size():
    """A ViT-B/16 of random weights, a rectangle of 35 patches; shipped constants."""
    arch = {**model_config('ViT-B-16'), 'quick_gelu': True}
    torch.manual_seed(0)
    tower = CLIPSurgeryViT(arch, surgery='clip').double()
    for name, value in tower.visual.named_parameters():
        if name.endswith(('in_proj_weight', 'out_proj.weight', 'c_proj.weight')):
            value.mul_(3)  # tokens of a fresh initialisation are so alike that no threshold acts
    images, guide = inputs(arch, 1, (5, 7))
    parameters = {f'visual.{name}': value for name, value in tower.visual.state_dict().items()}
    found = tower.read_many(images.double(), rows.NEWER, class_token=False, guide=guide.double())
    for name in rows.NEWER:
        wanted = naive_newest.patches(name, arch, parameters, SURGERIES[name], images[0], guide[0])
        golden.assert_close(flat(found[name])[0], wanted, 5e-6)


@pytest.mark.parametrize('name', rows.NEWER)
def test_batch_equals_single_images(name):
    """Means, quantiles and counts are of an image, never of a batch."""
    images, guide = inputs(SIX, 3, (3, 5))
    images[1] *= 5
    guide[1] -= 0.5
    tower = tiny.vit(rows.fitted(name), SIX).double()
    together = tower(images.double(), guide=guide.double())
    for index in range(3):
        part = slice(index, index + 1)
        alone = tower(images[part].double(), guide=guide[part].double())
        golden.assert_close(together.patch_tokens[part], alone.patch_tokens, 1e-9)
        golden.assert_close(together.cls_token[part], alone.cls_token, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize('grid', [(3, 3), (4, 5)], ids=['trained', 'rectangle'])
def test_many_surgeries_equal_one_by_one_to_the_bit(grid):
    images, guide = inputs(SIX, 2, grid)
    surgeries = {name: rows.fitted(name) for name in rows.NEWER}
    surgeries |= {name: SURGERIES[name] for name in rows.ANY_TOWER}
    surgeries['scclip elsewhere'] = rows.fitted('scclip', middle_block=3, floor=0.2)
    surgeries['quieter'] = rows.fitted('rfclip', moved=0.8)
    found = tiny.vit('clip', SIX).read_many(images, surgeries, guide=guide)
    for name, row in surgeries.items():
        alone = tiny.vit(row, SIX)(images, guide=guide)
        assert torch.equal(found[name].patch_tokens, alone.patch_tokens), name
        assert torch.equal(found[name].cls_token, alone.cls_token), name
    assert not torch.equal(found['scclip'].patch_tokens, found['scclip elsewhere'].patch_tokens)


def test_clip_is_walked_once_but_for_rows_that_change_it():
    tower, (images, guide) = tiny.vit('clip', SIX), inputs(SIX, 1, (3, 3))
    calls = []
    block = tower.visual.transformer.resblocks[0]
    block.ln_1.register_forward_pre_hook(lambda *_: calls.append(1))
    images = tiny.images(1, 3, 12, 12)
    surgeries = {name: rows.fitted(name) for name in rows.NEWER}
    tower.read_many(images, {**surgeries, 'clip': SURGERIES['clip']}, guide=guide)
    assert len(calls) == 2
    tower.read_many(images, {'a': surgeries['rfclip'], 'b': rows.fitted('rfclip', moved=0.1)})
    assert len(calls) == 4


def test_equal_traces_are_kept_once(monkeypatch):
    seen = []
    levels = TRACES['levels']

    def update(kept, view):
        seen.append(view.number)
        return levels.update(kept, view)

    monkeypatch.setitem(TRACES, 'levels', dataclasses.replace(levels, update=update))
    surgeries = {name: rows.fitted(name) for name in ('scclip', 'sfp')}
    tiny.vit('clip', SIX).read_many(inputs(SIX, 1, (3, 3))[0], surgeries)
    assert seen == [1, 2, 3, 4, 5]


def test_only_rfclip_moves_the_class_token():
    images, guide = inputs(SIX, 1, (3, 5))
    tower = tiny.vit('clip', SIX)
    clip = tower(images).cls_token
    for name in rows.NEWER:
        first = tower(images, surgery=rows.fitted(name), guide=guide).cls_token
        assert torch.allclose(first, clip, atol=1e-5) == (name != 'rfclip'), name


@pytest.mark.parametrize('name', rows.NEWER)
def test_patches_without_the_class_token_are_the_same(name):
    images, guide = inputs(SIX, 2, (3, 5))
    tower = tiny.vit(rows.fitted(name), SIX)
    tokens = tower(images, class_token=False, guide=guide)
    assert tokens.cls_token is None
    golden.assert_close(tokens.patch_tokens, tower(images, guide=guide).patch_tokens, 2e-6)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=['fp16', 'bf16'])
@pytest.mark.parametrize('name', slow_but(['scclip'], rows.NEWER))
def test_low_precision(name, dtype):
    """Decisions fall otherwise, so only finite numbers of the dtype are asked for, and what is near the exact ones."""
    images, guide = inputs(SIX, 1, (3, 5))
    tower = tiny.vit(rows.fitted(name), SIX)
    exact = flat(tower(images, guide=guide))
    with torch.autocast('cpu', torch.bfloat16):
        assert flat(tower(images, guide=guide)).isfinite().all()
    found = flat(tower.to(dtype)(images, guide=guide.to(dtype)))
    assert found.dtype == dtype
    assert F.cosine_similarity(found.float(), exact, dim=-1).median() > 0.98


@pytest.mark.parametrize('name', rows.NEWER)
def test_gradients_reach_the_image(name):
    images, guide = inputs(SIX, 1, (3, 5))
    with torch.enable_grad():
        tiny.vit(rows.fitted(name), SIX)(images.requires_grad_(), guide=guide).patch_tokens[
            0, 0, 0, 0
        ].backward()
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


def test_the_guides_grid_is_the_results():
    images, guide = inputs(SIX, 2, (3, 5))
    assert tiny.vit('proxyclip', SIX)(images, guide=guide).patch_tokens.shape == (2, 12, 6, 11)


@pytest.mark.parametrize('name', [name for name in AFFINITIES if AFFINITIES[name].needs and name != 'guide'])
def test_weights_times_v_are_what_is_attended_to(name):
    row, names = AFFINITIES[name], {'kk&mid': 'scclip', 'kk_mean': 'rfclip'}
    method = names.get(name, 'resclip' if 'cross' in name else 'sfp')
    tower, (images, _) = tiny.vit('clip', SIX), inputs(SIX, 2, (3, 5))
    p = tower.projections(images, tower.accepts(rows.fitted(method)))
    for tokens in (slice(None), slice(1, None), slice(0, 1)):
        torch.testing.assert_close(
            row.weights(p, tokens) @ p.v, row.new_tokens(p, tokens), atol=1e-5, rtol=1e-4
        )


# Feedback


def feedback(**changes) -> SameLabelFeedback:
    queries = F.normalize(tiny.images(4, 12, seed=3), dim=-1)
    return SameLabelFeedback(
        **{**dict(queries=queries, logit_scale=40.0, scale=1.8, share=0.7, floor=0.2), **changes}
    )


@pytest.mark.parametrize('affinity', ['qq', 'qq+kk', 'kk+gauss'])
def test_feedback_mixes_the_labels_into_the_attention(affinity):
    """softmax(t ((1 - l) s p p^T + l M) + g), written out."""
    images = tiny.images(2, 3, 12, 20)
    tower, rule = tiny.vit(Surgery(1, affinity, residual=False), SIX), feedback()
    first = tower(images)
    bias = rule(images, first.patch_tokens, tower.patch).bias
    p = tower.projections(images, tower.surgery)
    gauss = gauss_bias(p.grid, p.v) if 'gauss' in affinity else 0.0
    parts = {'qq': [p.q], 'kk+gauss': [p.k], 'qq+kk': [p.q, p.k]}[affinity]
    logits = [1.8 * (0.3 * u @ u.mT * u.shape[-1] ** -0.5 + bias[:, None]) + gauss for u in parts]
    attended = sum(each.softmax(dim=-1) for each in logits) @ p.v
    tokens = tower.blocks[-1].output(attended)[:, 1:]
    wanted = tower.project_tokens(None, tokens, p.grid).patch_tokens
    found = tower(images, feedback=rule)
    golden.assert_close(found.patch_tokens, wanted, 2e-6)
    assert torch.equal(found.cls_token, first.cls_token)
    assert not torch.allclose(found.patch_tokens, first.patch_tokens)


def test_feedback_beside_others():
    images, rule = tiny.images(2, 3, 12, 20), feedback()
    surgeries = {'resclip': rows.fitted('resclip'), 'naclip': SURGERIES['naclip'], 'clip': SURGERIES['clip']}
    tower = tiny.vit('clip', SIX)
    found = tower.read_many(images, surgeries, feedback={'resclip': rule})
    alone = tower(images, surgery=surgeries['resclip'], feedback=rule)
    assert torch.equal(found['resclip'].patch_tokens, alone.patch_tokens)
    assert torch.equal(found['naclip'].patch_tokens, tower(images, surgery='naclip').patch_tokens)


def test_feedback_of_a_batch_is_that_of_its_images():
    images, rule = tiny.images(3, 3, 12, 20), feedback()
    tower = tiny.vit(rows.fitted('resclip'), SIX)
    together = tower(images, feedback=rule).patch_tokens
    for index in range(3):
        golden.assert_close(
            together[index], tower(images[index : index + 1], feedback=rule).patch_tokens[0], 2e-6
        )


# What is refused

IMAGES = tiny.images(2, 3, 12, 12)
OWN = r'give own numbers: surgery=dict\(name=..., constants=dict\('
MISFITS = {
    'scclip': f"block numbers of 'scclip' belong to towers of 12 blocks, .* has 6; {OWN}depth=..., middle_block=...",
    'sfp': f"block numbers of 'sfp' belong to towers of 12 blocks, .* has 6; {OWN}depth=...",
    'resclip': f"block numbers of 'resclip' belong to towers of 12 blocks, .* has 6; {OWN}depth=..., cross_blocks=...",
    'rfclip': f"'rfclip' does not fit .*: its sink channels go up to 713, the tower has 16; {OWN}sinks=...",
}


@pytest.mark.parametrize('name', MISFITS)
def test_constants_of_another_tower(name):
    with pytest.raises(ValueError, match=MISFITS[name]):
        tiny.vit(name, SIX)
    with pytest.raises(ValueError, match=MISFITS[name]):
        tiny.vit('clip', SIX).read_many(IMAGES, [name])


def test_the_released_sinks_are_of_one_width():
    with pytest.raises(
        ValueError, match=f"ViT-B/16's, of width 768, the tower has width 1024; {OWN}sinks=..."
    ):
        check_surgery(SURGERIES['rfclip'], 24, 'ViT-L-14', 1024)
    own = dataclasses.replace(SURGERIES['rfclip'], constants=dict(sinks=(250, 1005)))
    assert check_surgery(own, 24, 'ViT-L-14', 1024) is own


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('scclip', dict(middle_block=6), "'middle_block' numbers blocks .* 1 to 5 of .*, got 6"),
        ('scclip', dict(levels=(4, 2)), r"'levels' numbers blocks .*, got \(4, 2\)"),
        ('resclip', dict(cross_blocks=(0, 3)), r"'cross_blocks' numbers blocks .*, got \(0, 3\)"),
    ],
)
def test_blocks_that_are_not_there(name, changes, message):
    with pytest.raises(ValueError, match=message):
        tiny.vit(rows.fitted(name, **changes), SIX)


def test_derived_traces_are_for_the_last_block():
    row = Surgery(2, 'kk&mid', constants={'depth': 6, 'middle_block': 3, 'neighbours': 6})
    with pytest.raises(ValueError, match='known when the last block is read, so give last_blocks=1, got 2'):
        tiny.vit(row, SIX)


@pytest.mark.parametrize('name', rows.NEWER)
def test_a_resnet_has_no_earlier_blocks(name):
    with pytest.raises(ValueError, match=f"one attention, its pool, and '{name}' needs earlier blocks"):
        tiny.resnet(name)


def test_a_resnet_takes_no_feedback():
    with pytest.raises(ValueError, match='feedback is a second reading of a ViT'):
        tiny.resnet('naclip')(tiny.images(1, 3, 64, 64), feedback=feedback())


def test_a_grid_too_small_for_the_outlier_test():
    tower = tiny.vit(rows.fitted('scclip', neighbours=30), SIX)
    with pytest.raises(
        ValueError, match=r"compares each patch with 30 others, the grid has 30 patches; .*'neighbours'"
    ):
        tower(tiny.images(1, 3, 20, 24))
    assert tower(tiny.images(1, 3, 4, 124)).patch_tokens.isfinite().all()  # 31 patches


@pytest.mark.parametrize('grid', [(1, 1), (1, 2), (2, 2)], ids=['1 patch', '2 patches', '4 patches'])
@pytest.mark.parametrize('name', ['sfp', 'resclip', 'rfclip', 'proxyclip'])
def test_other_rows_read_any_grid(name, grid):
    images, guide = inputs(SIX, 1, grid)
    rule = feedback() if name == 'resclip' else None
    found = tiny.vit(rows.fitted(name), SIX)(images, guide=guide, feedback=rule)
    assert found.patch_tokens.isfinite().all()


GUIDES = {
    'none': (None, "'proxyclip' reads the features of a second tower; pass guide"),
    'other batch': (
        torch.zeros(3, 4, 6, 6),
        r'in floating point for 2 images, got torch.float32 of shape \(3, 4, 6, 6\)',
    ),
    'whole numbers': (torch.zeros(2, 4, 6, 6, dtype=torch.int64), 'got torch.int64'),
    'tokens': (torch.zeros(2, 36, 4), r'guide must be "b c h w" .* shape \(2, 36, 4\)'),
    'nothing': (torch.zeros(2, 4, 0, 6), r'shape \(2, 4, 0, 6\)'),
}


@pytest.mark.parametrize(('guide', 'message'), GUIDES.values(), ids=GUIDES.keys())
def test_guides_that_do_not_fit(guide, message):
    tower = tiny.vit('proxyclip', SIX)
    with pytest.raises(ValueError, match=message):
        tower(IMAGES, guide=guide)
    with pytest.raises(ValueError, match=message):
        tower.read_many(IMAGES, ['clip', 'proxyclip'], guide=guide)
    with pytest.raises(ValueError, match=message):
        tower.projections(IMAGES, tower.surgery, guide=guide)


@pytest.mark.parametrize('surgery', ['clip', 'maskclip', 'clip_surgery', 'gem'])
def test_surgeries_that_take_no_feedback(surgery):
    with pytest.raises(ValueError, match=f"'{surgery}' takes no feedback; surgeries with last_blocks=1"):
        tiny.vit('clip', SIX)(IMAGES, surgery=surgery, feedback=feedback())


def test_feedback_for_a_surgery_that_is_not_there():
    with pytest.raises(ValueError, match="feedback for 'resclip', the surgeries are naclip"):
        tiny.vit('clip', SIX).read_many(IMAGES, ['naclip'], feedback={'resclip': feedback()})


def test_a_trace_that_is_nothing_is_given_by_the_caller():
    assert TRACES['guide'] == Trace()
