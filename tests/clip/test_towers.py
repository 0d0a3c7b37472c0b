"""Image towers: golden numbers from images on, the formulas written out, open_clip's own output, any size and batch."""

import copy
import itertools

import golden
import golden_weights
import naive
import rows
import tiny
from cases import slow_but
from mmseg_clipsurgery import SURGERIES, Surgery, explain, similarity
from mmseg_clipsurgery.clip import position_table
from mmseg_clipsurgery.clip.position_table import resize_position_table
from mmseg_clipsurgery.clip.resnet import CLIPSurgeryResNet
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.surgery import POSITIONS

import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.registry import MODELS
from torch import Tensor, nn

# What the golden files ran: the part of a name before the key of the weights.
GOLDEN_SURGERIES = {
    'cs': 'clip_surgery',
    'kk_reduced': Surgery(1, 'kk', residual=False, ffn=False),
    'maskclip_plain': 'maskclip',
    'maskclip_reduced': Surgery(1, 'identity', residual=False, ffn=False),
    **{name: name for name in ('clip', 'sclip', 'clearclip', 'naclip', 'gem')},
}
FEATURES = [name for name in golden.names() if not name.startswith(('pamr', 'pipeline'))]
CLASS_ROWS = ('clip_', 'cs_')  # elsewhere row 0 is a class token that nothing uses
surgeries = st.builds(
    Surgery,
    last_blocks=st.integers(0, 3),
    affinity=st.sampled_from(rows.BLOCK_AFFINITIES),
    residual=st.booleans(),
    ffn=st.booleans(),
    position=st.sampled_from(POSITIONS),
)
sides = st.integers(4, 21)
FEW = ['clip_surgery', 'gem']
TABLE_SIZES = [(12, 12), (20, 12), (13, 27), (4, 8)]


def build(name: str):
    """The tower of a golden file, by its registered name."""
    prefix, key = name.rpartition('_')[0].split('_vit_' if 'vit' in name else '_rn_')
    key = ('vit_' if 'vit' in name else 'rn_') + key
    arch, kind = golden.ARCHITECTURES[key], {'vit': 'CLIPSurgeryViT', 'rn': 'CLIPSurgeryResNet'}
    pretrained = str(tiny.weights_file(arch, golden.SEEDS[key]))
    surgery = GOLDEN_SURGERIES[prefix]
    return MODELS.build(
        dict(type=kind[key.partition('_')[0]], arch=arch, pretrained=pretrained, surgery=surgery)
    )


def golden_images(name: str) -> Tensor:
    reference = golden.load(name)
    batch = len(reference.get('features', reference.get('patch_features')))
    return golden_weights.image((batch, 3, *golden.size_of(name)), golden.seed_of(name))


@torch.no_grad()
def read(tower, images: Tensor, **settings) -> tuple[Tensor, Tensor]:
    """(class token "b c" or None, patches "b n c")."""
    tokens = tower(images, **settings)
    return tokens.cls_token, tokens.patch_tokens.flatten(2).transpose(1, 2)


@pytest.mark.parametrize('name', FEATURES)
def test_golden_features(name):
    reference = golden.load(name)
    first, patches = read(build(name), golden_images(name))
    if 'patch_features' in reference:
        golden.assert_close(patches, reference['patch_features'])
        return
    golden.assert_close(patches, reference['features'][:, 1:])
    if name.startswith(CLASS_ROWS):
        golden.assert_close(first, reference['features'][:, 0])


@pytest.mark.parametrize('name', golden.names('cs_*'))
def test_golden_maps_and_points_from_images_on(name):
    reference = golden.load(name)
    seed, size = golden.seed_of(name), golden.size_of(name)
    with torch.no_grad():
        tokens = build(name)(golden_images(name))
    first = similarity.normalize(tokens.cls_token)
    patches = similarity.normalize(tokens.patch_tokens.flatten(2).transpose(1, 2))
    text = golden_weights.text(5, 64, seed)
    scores = similarity.feature_surgery(first, patches, text, form='released')
    golden.assert_close(scores, reference['similarity'][:, 1:])
    grid = tuple(tokens.patch_tokens.shape[2:])
    maps = explain.similarity_map(scores, grid, size)
    # Min-max stretches what the convolutions round (by the number of threads: 5e-7 of the features) thirty-fold.
    golden.assert_close(maps.permute(0, 2, 3, 1)[:, ::4, ::4], reference['similarity_map'], 2e-5)
    for index in (0, 1):
        if f'points{index}' in reference:
            xy, labels = explain.points(scores[0, :, index].unflatten(0, grid), size)
            assert torch.equal(xy, reference[f'points{index}'].to(xy))
            assert torch.equal(labels, reference[f'labels{index}'].to(labels))


@pytest.mark.slow
@given(surgery=surgeries, height=sides, width=sides, batch=st.integers(1, 3), seed=st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_any_legal_surgery_equals_the_long_way(surgery, height, width, batch, seed):
    images = tiny.images(batch, 3, height, width, seed=seed)
    tower = tiny.vit(surgery, tiny.SMALL).double()
    first, patches = read(tower, images.double())
    expected = naive.vit(tiny.SMALL, tiny.tensors(tiny.SMALL), surgery, images)
    for found, wanted in ((first, expected[0]), (patches, expected[1])):
        golden.assert_close(found, wanted, 5e-6)  # position tables are resized in single precision


VIT_SHAPES = {
    'other head width': dict(width=48, head_width=12),
    'head width that leaves a rest': dict(width=40, head_width=16),
    'deep': dict(layers=14),
    'wide': dict(width=96, head_width=32),
    'patch 14': dict(patch_size=14, image_size=42),
    'patch 8': dict(patch_size=8, image_size=24),
    'trained on a rectangle': dict(image_size=[8, 20]),
    'trained remainder': dict(image_size=13),
    'narrow MLP': dict(mlp_ratio=1.5),
    'LayerScale': dict(ls_init_value=0.1),
    'no first LayerNorm': dict(no_ln_pre=True),
}


@pytest.mark.parametrize('vision', VIT_SHAPES.values(), ids=VIT_SHAPES.keys())
@pytest.mark.parametrize('name', slow_but(['clip_surgery'], FEW))
def test_other_towers_equal_the_long_way(vision, name):
    if not all(hasattr(open_clip.CLIPVisionCfg, field) for field in vision):
        pytest.skip('open_clip too old')
    arch = tiny.changed(tiny.SMALL, vision_cfg={'layers': 6, **vision}, quick_gelu=True)
    images = tiny.images(1, 3, 2 * arch['vision_cfg']['patch_size'] + 1, 3 * arch['vision_cfg']['patch_size'])
    expected = naive.vit(arch, tiny.tensors(arch), SURGERIES[name], images)
    for found, wanted in zip(read(tiny.vit(name, arch), images), expected, strict=True):
        golden.assert_close(found, wanted)


RESNET_SHAPES = {
    'trained size': ({}, (64, 64)),
    '100 x 130': ({}, (100, 130)),
    'odd': ({}, (63, 97)),
    'one patch': ({}, (32, 32)),
    'deep': (dict(layers=[1, 2, 3, 2]), (96, 64)),
    'other head width': (dict(width=8, head_width=16), (64, 96)),
    'trained at 96': (dict(image_size=96), (64, 160)),
}


@pytest.mark.parametrize(('vision', 'size'), RESNET_SHAPES.values(), ids=RESNET_SHAPES.keys())
@pytest.mark.parametrize('variant', ['released', 'paper'])
def test_resnets_equal_the_long_way(vision, size, variant):
    arch = tiny.changed(tiny.RESNET, vision_cfg=vision)
    images = tiny.images(2, 3, *size)
    surgery = SURGERIES['clip_surgery']
    expected = naive.resnet(arch, tiny.tensors(arch), surgery, images, paper=variant == 'paper')
    for found, wanted in zip(read(tiny.resnet(arch=arch, variant=variant), images), expected, strict=True):
        golden.assert_close(found, wanted)


@pytest.mark.parametrize('affinity', rows.BLOCK_AFFINITIES)
@pytest.mark.parametrize('last_blocks', [0, 1])
def test_resnets_take_every_surgery(affinity, last_blocks):
    surgery, images = Surgery(last_blocks, affinity), tiny.images(1, 3, 96, 64)
    expected = naive.resnet(tiny.RESNET, tiny.tensors(tiny.RESNET), surgery, images)
    for found, wanted in zip(read(tiny.resnet(surgery), images), expected, strict=True):
        golden.assert_close(found, wanted)


def full_size(name: str) -> tuple[dict, dict[str, Tensor]]:
    """(arch dict, random parameters of the image tower) of one of open_clip's models, none of them zero."""
    from mmseg_clipsurgery.clip.archs import model_config

    arch = model_config(name) | {'quick_gelu': True}
    kind = CLIPSurgeryResNet if isinstance(arch['vision_cfg']['layers'], list) else CLIPSurgeryViT
    torch.manual_seed(0)
    tower = kind(arch, surgery='clip')
    with torch.no_grad():
        for value in itertools.chain(tower.parameters(), tower.buffers()):
            if value.dim() == 1:  # norms and biases: near what they start as, but no zeros
                value.add_(0.1 * torch.rand_like(value) + 0.02)
    return arch, {f'visual.{key}': value for key, value in tower.visual.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'size', 'method', 'variant'),
    [('ViT-B-16', (96, 64), 'clip_surgery', None), ('RN50', (100, 130), 'clip_surgery', 'paper')],
)
def test_full_size(name, size, method, variant, tmp_path):
    arch, parameters = full_size(name)
    arch = arch | {'text_cfg': tiny.SMALL['text_cfg']}
    torch.save(parameters, tmp_path / 'image_tower.pt')
    images = tiny.images(1, 3, *size)
    if variant:
        tower = CLIPSurgeryResNet(arch, tmp_path / 'image_tower.pt', method, variant=variant)
        expected = naive.resnet(arch, parameters, SURGERIES[method], images, paper=True)
    else:
        tower = CLIPSurgeryViT(arch, tmp_path / 'image_tower.pt', method)
        expected = naive.vit(arch, parameters, SURGERIES[method], images)
    for found, wanted in zip(read(tower, images), expected, strict=True):
        golden.assert_close(found, wanted)


def open_clip_tokens(visual: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """open_clip's own class token and, from what its transformer puts out, its projected patches."""
    seen = []
    handle = visual.transformer.register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.no_grad():
        first = visual(images)
        tokens = seen[0] if seen[0].shape[0] == len(images) else seen[0].transpose(0, 1)
        tokens = visual.ln_post(tokens)[:, 1:] @ visual.proj
    handle.remove()
    return first, tokens


@pytest.mark.parametrize('arch', [tiny.VIT, tiny.SMALL], ids=['QuickGELU', 'GELU'])
def test_zero_blocks_are_open_clips_own_tokens(arch):
    images = tiny.images(3, 3, *2 * [arch['vision_cfg']['image_size']])
    expected = open_clip_tokens(tiny.clip(arch).visual, images)
    for found, wanted in zip(read(tiny.vit('clip', arch), images), expected, strict=True):
        golden.assert_close(found, wanted, 3e-6)


def test_zero_blocks_of_a_resnet_are_open_clips_own_token():
    images = tiny.images(2, 3, 64, 64)
    with torch.no_grad():
        expected = tiny.clip(tiny.RESNET).visual(images)
    golden.assert_close(read(tiny.resnet('clip'), images)[0], expected, 1e-6)


@pytest.mark.parametrize('last_blocks', range(1, 9))
def test_plain_attention_on_the_side_is_clip(last_blocks):
    tower, images = tiny.vit('clip'), tiny.images(1, 3, 48, 80)
    side = read(tower, images, surgery=Surgery(last_blocks, 'qk', residual=True, ffn=True))
    for found, wanted in zip(side, read(tower, images), strict=True):
        golden.assert_close(found, wanted, 1e-6)


TOWERS = {
    'vit': lambda name: tiny.vit(name, tiny.changed(tiny.SMALL, vision_cfg={'layers': 6})),
    'resnet': lambda name: tiny.resnet(name),
}


@pytest.mark.parametrize('kind', TOWERS)
@pytest.mark.parametrize('name', slow_but(FEW, rows.ANY_TOWER))
def test_a_batch_is_its_images(kind, name):
    tower, images = TOWERS[kind](name), tiny.images(3, 3, 40, 72)
    batch = read(tower, images)
    singles = [read(tower, image[None]) for image in images]
    for found, parts in zip(batch, zip(*singles, strict=True), strict=True):
        golden.assert_close(found, torch.cat(parts), 2e-6)


@pytest.mark.slow
@pytest.mark.parametrize('kind', TOWERS)
@pytest.mark.parametrize('name', ['clip_surgery', 'gem', 'naclip'])
def test_small_large_small(kind, name):
    tower, small, large = TOWERS[kind](name), tiny.images(1, 3, 64, 64), tiny.images(2, 3, 96, 128)
    before, other = read(tower, small), read(tower, large)
    for found, wanted in ((read(tower, small), before), (read(tower, large), other)):
        assert all(map(torch.equal, found, wanted))
    assert all(map(torch.equal, read(TOWERS[kind](name), large), other))


@pytest.mark.parametrize(('height', 'width'), [(12, 12), (8, 20), (4, 4), (23, 9)])
def test_grid_is_height_before_width(height, width):
    tokens = tiny.vit('clip', tiny.SMALL)(tiny.images(2, 3, height, width))
    assert tokens.patch_tokens.shape == (2, 12, height // 4, width // 4)
    assert tokens.cls_token.shape == (2, 12)


@pytest.mark.slow
@given(height=st.integers(32, 140), width=st.integers(32, 140))
@settings(max_examples=10, deadline=None)
def test_grid_of_a_resnet(height, width):
    tokens = tiny.resnet()(tiny.images(1, 3, height, width))
    assert tokens.patch_tokens.shape[2:] == tuple((side + 1) // 2 // 16 for side in (height, width))


@pytest.mark.parametrize('name', ['clip', 'clip_surgery', 'naclip'])
def test_a_transposed_image_of_transposed_patches(name):
    """Height and width have the same role: transposing image, convolution and table transposes the patches."""
    arch = tiny.changed(tiny.SMALL, vision_cfg={'layers': 6})
    tower = tiny.vit(name, arch)
    turned = copy.deepcopy(tower)
    with torch.no_grad():
        turned.visual.conv1.weight.copy_(tower.visual.conv1.weight.transpose(2, 3))
        table = tower.visual.positional_embedding
        turned.visual.positional_embedding[1:] = table[1:].unflatten(0, (3, 3)).transpose(0, 1).flatten(0, 1)
        images = tiny.images(1, 3, 8, 20)
        found, wanted = turned(images.transpose(2, 3)), tower(images)
    golden.assert_close(found.patch_tokens.transpose(2, 3), wanted.patch_tokens, 2e-6)
    golden.assert_close(found.cls_token, wanted.cls_token, 2e-6)


def test_a_remainder_that_fills_no_patch_is_not_seen():
    tower, images = tiny.vit(arch=tiny.SMALL, surgery='maskclip'), tiny.images(1, 3, 11, 15)
    cut = images[:, :, :8, :12]
    assert all(map(torch.equal, read(tower, images), read(tower, cut)))
    other = images.clone()
    other[:, :, 8:], other[:, :, :, 12:] = 7, -7
    assert all(map(torch.equal, read(tower, other), read(tower, cut)))


@pytest.mark.parametrize('kind', TOWERS)
def test_the_class_token_is_clips_whatever_the_surgery(kind):
    images = tiny.images(1, 3, 64, 96)
    surgeries = [Surgery(1, 'identity', residual, ffn) for residual in (True, False) for ffn in (True, False)]
    surgeries += [Surgery(6, 'gem'), Surgery(3, 'kk+gauss'), Surgery(0)]
    if kind == 'resnet':  # its class token is read by A too, as in the released code
        surgeries = [Surgery(n, 'vv', residual, True) for n in (1, 6) for residual in (True, False)]
    tower = TOWERS[kind]('clip')
    firsts = [read(tower, images, surgery=surgery)[0] for surgery in surgeries]
    for found in firsts[1:]:
        golden.assert_close(found, firsts[0], 1e-6)


@pytest.mark.parametrize('kind', TOWERS)
@pytest.mark.parametrize('name', slow_but(FEW, rows.ANY_TOWER))
def test_patches_without_the_class_token_are_the_same(kind, name):
    tower, images = TOWERS[kind](name), tiny.images(2, 3, 64, 48)
    first, patches = read(tower, images, class_token=False)
    assert first is None
    golden.assert_close(patches, read(tower, images)[1], 1e-6)


@pytest.mark.parametrize('kind', TOWERS)
@pytest.mark.parametrize('name', slow_but(FEW, rows.ANY_TOWER))
def test_clip_is_not_modified(kind, name):
    tower = TOWERS[kind](name)
    before = copy.deepcopy(tower.visual.state_dict())
    own = torch.zeros(1, 3, *2 * [12 if kind == 'vit' else 64])
    with torch.no_grad():
        output = tower.visual(own)
        tower.train()
        tower(tiny.images(1, 3, 64, 96))
        assert torch.equal(tower.visual(own), output)
    assert before.keys() == tower.visual.state_dict().keys()
    assert all(torch.equal(before[key], value) for key, value in tower.visual.state_dict().items())
    assert not any(module.training for module in tower.modules())


def test_gradients_reach_the_image():
    """Nothing in the read is cut off from autograd; weights stay trainable, or MMSeg's DDP refuses the tower."""
    images = tiny.images(1, 3, 12, 12).requires_grad_()
    tower = tiny.vit(arch=tiny.SMALL, surgery=Surgery(2, 'gem'))
    tower(images).patch_tokens.sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.requires_grad for parameter in tower.parameters())


def cosine(found: Tensor, wanted: Tensor) -> float:
    return nn.functional.cosine_similarity(found.float(), wanted.float(), dim=-1).min().item()


@pytest.mark.parametrize('kind', TOWERS)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=['fp16', 'bf16'])
@pytest.mark.parametrize('name', slow_but(FEW, rows.ANY_TOWER))
def test_low_precision(kind, dtype, name):
    tower, images = TOWERS[kind](name), tiny.images(1, 3, 64, 96)
    wanted = read(tower, images)
    for found, exact in zip(read(tower.to(dtype), images), wanted, strict=True):
        assert found.dtype == dtype
        assert cosine(found, exact) > (0.9999 if dtype == torch.float16 else 0.995)


@pytest.mark.parametrize('kind', TOWERS)
@pytest.mark.parametrize('name', slow_but(FEW, rows.ANY_TOWER))
def test_autocast(kind, name):
    tower, images = TOWERS[kind](name), tiny.images(1, 3, 64, 96)
    wanted = read(tower, images)
    with torch.autocast('cpu', torch.bfloat16):
        found = read(tower, images)
    assert all(cosine(*pair) > 0.99 for pair in zip(found, wanted, strict=True))


@pytest.mark.parametrize('position', POSITIONS)
@pytest.mark.parametrize('trained', [(3, 3), (2, 5)], ids=['square', 'rectangle'])
@pytest.mark.parametrize('grid', [(3, 3), (5, 2), (2, 5), (7, 4), (1, 1), (1, 9), (9, 1), (2, 1), (15, 15)])
def test_position_table(position, trained, grid):
    table = tiny.images(1 + trained[0] * trained[1], 6)
    before = table.clone()
    found = resize_position_table(table, trained, grid, position)
    assert torch.equal(table, before)
    assert torch.equal(found[:1], table[:1])
    golden.assert_close(found, naive.resize_table(table.double(), trained, grid, position))


def test_another_shape_with_as_many_patches_is_interpolated():
    table = tiny.images(17, 6)
    assert not torch.equal(resize_position_table(table, (4, 4), (2, 8), 'bilinear'), table)


@pytest.mark.parametrize(
    ('trained', 'grid'), [((3, 3), (3, 3)), ((3, 3), (7, 3)), ((4, 5), (1, 9)), ((14, 14), (28, 3))], ids=str
)
def test_a_table_by_a_factor_is_the_same_for_exporters(trained, grid):
    table = torch.randn(1 + trained[0] * trained[1], 6, generator=torch.Generator().manual_seed(0))
    wanted = resize_position_table(table, trained, grid, 'bicubic_scale')
    rows, columns = position_table.scaled_weights(trained, grid)
    patches = torch.einsum('ijd,hi,wj->hwd', table[1:].unflatten(0, trained), rows, columns)
    golden.assert_close(torch.cat([table[:1], patches.flatten(0, 1)]), wanted, 1e-5)


@pytest.mark.parametrize('position', POSITIONS)
def test_the_trained_grid_uses_the_table_as_it_is(position):
    table = tiny.images(11, 6)
    assert resize_position_table(table, (2, 5), (2, 5), position) is table


def small_vit(surgery='clip', **vision):
    return CLIPSurgeryViT(tiny.changed(tiny.SMALL, vision_cfg=vision), surgery=surgery)


ERRORS = {
    'more blocks than there are': (
        lambda: small_vit('clip_surgery'),
        'reads the last 6 blocks, .* has 3; give surgery',
    ),
    'unknown surgery': (lambda: small_vit('surgery'), "unknown surgery 'surgery'"),
    'a ResNet as ViT': (lambda: CLIPSurgeryViT(tiny.RESNET), 'use CLIPSurgeryResNet'),
    'a ViT as ResNet': (lambda: CLIPSurgeryResNet(tiny.SMALL), 'use CLIPSurgeryViT'),
    'unknown variant': (
        lambda: CLIPSurgeryResNet(tiny.RESNET, variant='new'),
        "'released' or 'paper'.*'new'",
    ),
    'no paper variant': (
        lambda: CLIPSurgeryResNet(tiny.RESNET, surgery='gem', variant='paper'),
        "sharpens the affinities qq, kk, vv, qq\\+kk, got 'gem'",
    ),
    'no batch': (lambda: small_vit()(torch.zeros(3, 12, 12)), r'"b 3 H W", got shape \(3, 12, 12\)'),
    'grey images': (lambda: small_vit()(torch.zeros(1, 1, 12, 12)), '"b 3 H W"'),
    'smaller than a patch': (
        lambda: small_vit()(torch.zeros(1, 3, 12, 3)),
        r'one patch \(4 pixels\).*12 x 3 \(height x width\)',
    ),
    'NaN': (lambda: small_vit()(torch.full((1, 3, 12, 12), torch.nan)), 'NaN or infinite values'),
    'infinity': (lambda: tiny.resnet()(torch.full((1, 3, 32, 32), torch.inf)), 'NaN or infinite values'),
}


@pytest.mark.parametrize(('action', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(action, message):
    with pytest.raises(ValueError, match=message):
        action()
