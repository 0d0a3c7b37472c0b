"""What every explainer keeps: batches, classes, sizes, modes; and that it leaves a tower as it was."""

import golden
import tiny
from mmseg_clipsurgery.explainers.attention_maps import rollout
from mmseg_clipsurgery.explainers.explainer import Explainer, explain_together
from mmseg_clipsurgery.explainers.grad_eclip import grad_eclip, grad_eclip_blocks
from mmseg_clipsurgery.explainers.gradients import TEXTS_AT_ONCE
from mmseg_clipsurgery.explainers.legrad import legrad_layers
from mmseg_clipsurgery.explainers.relevance import last_relevance, relevance
from mmseg_clipsurgery.explainers.table import EXPLAINERS
from mmseg_clipsurgery.explainers.walk import Walk
from mmseg_clipsurgery.similarity import normalize

import pytest
import torch

ARCH = tiny.SMALL
OWN = [name for name, row in EXPLAINERS.items() if row.surgery is None]
GRADIENTS = [name for name in OWN if EXPLAINERS[name].differentiates]
NAMES = [*OWN, 'rclip', 'maskclip:released']


@pytest.fixture(scope='module')
def tower():
    return tiny.vit('clip', ARCH)


def texts(count: int = 3) -> torch.Tensor:
    return golden_text(count, ARCH['embed_dim'])


def golden_text(count: int, width: int) -> torch.Tensor:
    return normalize(tiny.images(count, width, seed=5))


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', [(12, 12), (9, 21)], ids=lambda size: f'{size[0]}x{size[1]}')
def test_a_batch_equals_its_single_images(tower, name, size):
    images = tiny.images(3, 3, *size)
    both = EXPLAINERS[name](tower, images, texts())
    assert both.shape == (3, 3, size[0] // 4, size[1] // 4)
    singles = [EXPLAINERS[name](tower, image[None], texts()) for image in images]
    golden.assert_close(both, torch.cat(singles))
    assert both.std() > 0


@pytest.mark.parametrize('name', NAMES)
def test_permuted_texts_permute_maps(tower, name):
    images, order = tiny.images(2, 3, 12, 12), [2, 0, 1]
    maps = EXPLAINERS[name](tower, images, texts())
    golden.assert_close(EXPLAINERS[name](tower, images, texts()[order]), maps[:, order])


@pytest.mark.parametrize('name', [name for name in NAMES if ':' not in name])
def test_a_text_is_explained_alike_among_others(tower, name):
    """More texts than are differentiated at once."""
    images, many = tiny.images(2, 3, 12, 12), texts(TEXTS_AT_ONCE + 3)
    maps = EXPLAINERS[name](tower, images, many)
    golden.assert_close(EXPLAINERS[name](tower, images, many[-1:]), maps[:, -1:])


@pytest.mark.parametrize('name', NAMES)
def test_the_text_is_read_or_not_as_the_row_says(tower, name):
    maps = EXPLAINERS[name](tower, tiny.images(1, 3, 12, 12), texts())
    assert EXPLAINERS[name].reads_text != torch.equal(maps[:, 0], maps[:, 1])


@pytest.mark.parametrize('name', NAMES)
def test_modes_around_it_change_nothing(tower, name):
    images = tiny.images(1, 3, 12, 16)
    plain = EXPLAINERS[name](tower, images, texts())
    with torch.inference_mode():
        assert torch.equal(EXPLAINERS[name](tower, tiny.images(1, 3, 12, 16), texts()), plain)
    with torch.no_grad():
        assert torch.equal(EXPLAINERS[name](tower, images, texts()), plain)
    assert not plain.requires_grad


@pytest.mark.parametrize('name', NAMES)
def test_a_tower_is_left_as_it_was(name):
    tower = tiny.vit('clip', ARCH)
    before = {key: value.clone() for key, value in tower.state_dict().items()}
    flags = [value.requires_grad for value in tower.parameters()]
    EXPLAINERS[name](tower, tiny.images(1, 3, 12, 20), texts())
    assert all(value.grad is None for value in tower.parameters())
    assert [value.requires_grad for value in tower.parameters()] == flags
    hooks = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks')
    assert not any(getattr(module, kind) for module in tower.modules() for kind in hooks)
    assert all(torch.equal(value, before[key]) for key, value in tower.state_dict().items())


@pytest.mark.parametrize('name', NAMES)
def test_sizes_before_change_nothing(tower, name):
    """Small, large, small: nothing of the first size is kept."""
    first, other = tiny.images(1, 3, 12, 12), tiny.images(1, 3, 20, 8)
    before = EXPLAINERS[name](tower, first, texts())
    EXPLAINERS[name](tower, other, texts())
    assert torch.equal(EXPLAINERS[name](tower, first, texts()), before)


@pytest.mark.parametrize('name', GRADIENTS)
def test_gradients_do_not_need_weights_that_require_them(name):
    tower = tiny.vit('clip', ARCH)
    wanted = EXPLAINERS[name](tower, tiny.images(1, 3, 12, 12), texts())
    golden.assert_close(
        EXPLAINERS[name](tower.requires_grad_(False), tiny.images(1, 3, 12, 12), texts()), wanted
    )


def test_together_equals_one_by_one(tower):
    images = tiny.images(2, 3, 12, 20)
    rows = {name: EXPLAINERS[name] for name in NAMES}
    together = explain_together(rows, tower, images, texts())
    assert list(together) == NAMES
    for name, maps in together.items():
        assert torch.equal(maps, rows[name](tower, images, texts())), name


def test_the_path_is_walked_once_for_all(tower, monkeypatch):
    images, walked = tiny.images(1, 3, 12, 12), []
    embed = type(tower).patch_embedding
    monkeypatch.setattr(type(tower), 'patch_embedding', lambda *given: walked.append(1) or embed(*given))
    rows = {name: EXPLAINERS[name] for name in ('attention', 'relevance', 'grad_eclip', 'grad_cam')}
    explain_together(rows, tower, images, texts())
    assert len(walked) == 1
    read = {name: EXPLAINERS[name] for name in ('clip', 'clip:released', 'maskclip', 'rclip')}
    explain_together(read, tower, images, texts())
    assert len(walked) == 2


class TestFormulas:
    def test_last_block_equals_the_graph_from_it_on(self, tower):
        walk = Walk(tower, tiny.images(2, 3, 12, 16))
        golden.assert_close(last_relevance(walk, texts()), relevance(walk, texts(), blocks=1))
        for one_head in (False, True):
            short, long = grad_eclip(walk, texts(), one_head), grad_eclip_blocks(walk, texts(), 1, one_head)
            golden.assert_close(short, long)

    def test_relevance_equals_the_product_of_whole_matrices(self, tower):
        """R = R + C R over all blocks with n x n matrices, by full autograd through open_clip's own operations."""
        images = tiny.images(1, 3, 12, 12)
        blocks, x = tower.blocks, tower.patch_embedding(images, (3, 3), 'bicubic')
        attentions = []
        for block in blocks:
            p = block.project(x)
            attentions.append((p.q @ p.k.mT / p.q.shape[-1] ** 0.5).softmax(dim=-1))
            x = block.feed_forward(x + block.output(attentions[-1] @ p.v))
        joint = tower.to_joint(x[:, 0])
        cosine = 100 * (joint / joint.norm()) @ texts()[1]
        slopes = torch.autograd.grad(cosine.sum(), attentions)
        r = torch.eye(10)
        for weights, slope in zip(attentions, slopes, strict=True):
            r = r + (weights * slope)[0].relu().mean(dim=0) @ r
        found = EXPLAINERS['relevance_all'](tower, images, texts())
        golden.assert_close(found[0, 1], r[0, 1:].unflatten(0, (3, 3)).detach())

    def test_legrad_equals_gradients_of_attention_maps(self, tower):
        walk = Walk(tower, tiny.images(1, 3, 12, 12), 'bicubic_antialias')
        layers = legrad_layers(walk, texts(), blocks=2)
        for number, layer in zip((2, 3), layers, strict=True):
            block, x = tower.blocks[number - 1], walk.entering(number)
            p = block.project(x)
            weights = (p.q @ p.k.mT / p.q.shape[-1] ** 0.5).softmax(dim=-1).detach().requires_grad_()
            leaving = block.feed_forward(x + block.output(weights @ p.v))
            joint = tower.to_joint(leaving.mean(dim=1))
            (slope,) = torch.autograd.grad((normalize(joint) @ texts()[2]).sum(), weights)
            golden.assert_close(layer[0, 2], slope.relu().mean(dim=(0, 1, 2))[1:].unflatten(0, (3, 3)))

    def test_rollout_of_one_block_is_half_the_attention(self, tower):
        walk = Walk(tower, tiny.images(1, 3, 12, 12))
        golden.assert_close(rollout(walk, texts(), blocks=1) * 2, EXPLAINERS['attention'].maps(walk, texts()))

    def test_one_head_is_another_map(self, tower):
        images = tiny.images(1, 3, 12, 12)
        both = [EXPLAINERS[name](tower, images, texts()) for name in ('grad_eclip', 'grad_eclip_one_head')]
        assert (both[0] - both[1]).abs().max() > 0.01 * both[0].max()

    def test_reversed_clip_turns_the_sign(self, tower):
        images = tiny.images(1, 3, 12, 12)
        assert torch.equal(
            EXPLAINERS['rclip'](tower, images, texts()), -EXPLAINERS['clip'](tower, images, texts())
        )

    def test_a_single_text_of_feature_surgery_is_compared_with_the_empty_string(self, tower):
        images, (text, empty) = tiny.images(1, 3, 12, 12), texts(2).split(1)
        found = EXPLAINERS['maskclip:released'](tower, images, text, empty)
        patches = normalize(tower(images, surgery='maskclip').patch_tokens.movedim(1, -1))
        golden.assert_close(found[0, 0], (patches @ (text - empty).T)[0, :, :, 0].detach())
        alone = EXPLAINERS['maskclip'](tower, images, text, empty)
        golden.assert_close(alone[0, 0], (patches @ text.T)[0, :, :, 0].detach())


@pytest.mark.parametrize(
    ('vision', 'size'),
    [
        ({'width': 24, 'head_width': 8}, (12, 12)),
        ({'width': 32, 'head_width': 32}, (12, 20)),
        ({'patch_size': 6, 'layers': 2}, (18, 12)),
    ],
    ids=['three heads', 'one head', 'other patches'],
)
def test_other_towers(vision, size):
    tower = tiny.vit('clip', tiny.changed(tiny.SMALL, vision_cfg=vision))
    found = explain_together(
        {name: EXPLAINERS[name] for name in OWN}, tower, tiny.images(1, 3, *size), texts(2)
    )
    grid = (size[0] // tower.patch, size[1] // tower.patch)
    assert {tuple(maps.shape) for maps in found.values()} == {(1, 2, *grid)}
    same = torch.equal(found['grad_eclip'], found['grad_eclip_one_head'])
    assert same == (tower.heads == 1)


def test_an_explainer_of_ones_own(tower):
    row = Explainer(
        'norms',
        lambda walk, text: walk.entering(3)[:, 1:].norm(dim=-1).unflatten(1, walk.grid)[:, None],
        reads_text=False,
    )
    assert row(tower, tiny.images(2, 3, 12, 8), texts()).shape == (2, 3, 3, 2)


def inference_tower():
    with torch.inference_mode():
        return tiny.vit('clip', ARCH)


def average_pool_tower():
    tower = tiny.vit('clip', ARCH)
    tower.config = tiny.changed(ARCH, vision_cfg={'pool_type': 'avg'})
    return tower


def explain(name, tower=None, images=None, text=None):
    made = tiny.vit('clip', ARCH) if tower is None else tower()
    return EXPLAINERS[name](
        made, tiny.images(1, 3, 12, 12) if images is None else images, texts() if text is None else text
    )


def under_autocast():
    with torch.autocast('cpu', torch.bfloat16):
        explain('legrad')


ERRORS = {
    'a ResNet': (
        lambda: explain('legrad', lambda: tiny.resnet('clip')),
        'is a ResNet, .* class token of a ViT',
    ),
    'a ResNet, no gradients': (
        lambda: explain('rollout', lambda: tiny.resnet('clip')),
        "such as 'clip_surgery'",
    ),
    'no class token': (lambda: explain('attention', average_pool_tower), 'reads the class token'),
    'half precision': (
        lambda: explain('grad_eclip', lambda: tiny.vit('clip', ARCH).half()),
        r'fp32.*float16.*\.float\(\)',
    ),
    'autocast': (under_autocast, 'fp32, and autocast is on'),
    'inference weights': (
        lambda: explain('relevance', inference_tower),
        'torch.inference_mode, which forbids',
    ),
    'too many blocks': (
        lambda: EXPLAINERS['legrad'](
            tiny.vit('clip', tiny.changed(tiny.SMALL, vision_cfg={'layers': 1})),
            tiny.images(1, 3, 12, 12),
            texts(),
        ),
        'reads the last 2 blocks, .* has 1',
    ),
    'a surgery that does not fit': (lambda: explain('scclip'), 'belong to towers of 12 blocks'),
    'no texts': (lambda: explain('clip', text=texts()[:0]), 'at least one L2-normalised embedding'),
    'one text as a vector': (lambda: explain('clip', text=texts()[0]), '"t c"'),
    'another embedding': (lambda: explain('legrad', text=golden_text(2, 7)), 'c = 12'),
    'maps of another shape': (
        lambda: Explainer('mine', lambda walk, text: walk.class_read.weights)(
            tiny.vit('clip', ARCH), tiny.images(1, 3, 12, 12), texts()
        ),
        "'mine' must give maps",
    ),
    'an unknown position': (
        lambda: Explainer('mine', None, position='nearest'),
        "one of bilinear, .*'nearest'",
    ),
}


def test_gradients_are_refused_under_compile(monkeypatch):
    monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: True)
    with pytest.raises(ValueError, match=r'gradients are not taken under torch\.compile'):
        explain('legrad')
    assert explain('attention').shape == (1, 3, 3, 3)


@pytest.mark.parametrize(('action', 'message'), ERRORS.values(), ids=ERRORS.keys())
def test_errors(action, message):
    with pytest.raises(ValueError, match=message):
        action()


def test_explainers_without_gradients_work_in_half_precision(tower):
    with torch.autocast('cpu', torch.bfloat16):
        maps = EXPLAINERS['attention'](tower, tiny.images(1, 3, 12, 12), texts())
    wanted = EXPLAINERS['attention'](tower, tiny.images(1, 3, 12, 12), texts())
    assert (maps.float() - wanted).abs().max() < 0.05 * wanted.max()
