"""Every model config of the installed open_clip: supported towers are built (on the meta device: shapes, no numbers),
all others are refused by name. The count is printed, `pytest -rA tests/clip/test_supported_archs.py` shows it."""

import re
from pathlib import Path

import tiny
from cases import slow_but
from mmseg_clipsurgery.clip.archs import model_config
from mmseg_clipsurgery.clip.building import build_text_tower
from mmseg_clipsurgery.clip.families import build_tower
from mmseg_clipsurgery.clip.resnet import CLIPSurgeryResNet
from mmseg_clipsurgery.clip.sources import resolve
from mmseg_clipsurgery.clip.tower import FAMILIES, family_of
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.environment.stack import at_least, distribution_version

import open_clip
import pytest
import torch

MODELS = open_clip.list_models()
SUPPORTED = {name: family.supported_archs() for name, family in FAMILIES.items()}
REFUSED = sorted({*MODELS} - {name for names in SUPPORTED.values() for name in names})
OPENAI = ('RN50', 'RN101', 'RN50x4', 'RN50x16', 'RN50x64')
OPENAI += ('ViT-B-32', 'ViT-B-16', 'ViT-L-14', 'ViT-L-14-336')


@pytest.mark.skipif(
    not distribution_version('open_clip_torch').startswith('3.3'),
    reason='the README counts those of open_clip 3.3',
)
def test_the_readme_has_the_count():
    said = f'{len(MODELS) - len(REFUSED)} of the {len(MODELS)} model configs of open_clip 3.3'
    assert said in (Path(__file__).parents[2] / 'README.md').read_text(encoding='utf-8')


def test_count():
    counts = {family: len(names) for family, names in SUPPORTED.items()}
    print(f'supported: {sum(counts.values())} of {len(MODELS)}: {counts}')
    assert sum(counts.values()) + len(REFUSED) == len(MODELS)
    assert all(name in SUPPORTED['resnet' if name.startswith('RN') else 'vit'] for name in OPENAI)
    if at_least(distribution_version('open_clip_torch'), '3.3'):
        assert counts['vit'] >= 46
        assert counts['resnet'] == 10
        assert len(MODELS) >= 144
        assert sum(counts.values()) >= 90


@pytest.mark.parametrize('name', slow_but(OPENAI, SUPPORTED['vit']))
def test_a_vit_is_built(name):
    with torch.device('meta'):
        tower = CLIPSurgeryViT(name, surgery='clip_surgery')
    vision = model_config(name)['vision_cfg']
    visual = tower.visual
    assert len(visual.transformer.resblocks) == vision['layers'] >= 6
    assert tower.patch == vision['patch_size']
    assert tower.heads == visual.transformer.resblocks[0].attn.num_heads
    assert tower.trained_grid == 2 * (vision['image_size'] // vision['patch_size'],)
    assert len(visual.positional_embedding) == 1 + tower.trained_grid[0] ** 2
    assert visual.proj.shape == (vision['width'], model_config(name)['embed_dim'])
    assert all(value.is_meta for value in visual.parameters())


@pytest.mark.parametrize('name', slow_but(OPENAI, SUPPORTED['resnet']))
def test_a_resnet_is_built(name):
    with torch.device('meta'):
        tower = CLIPSurgeryResNet(name)
    vision = model_config(name)['vision_cfg']
    assert [len(getattr(tower.visual, f'layer{i}')) for i in (1, 2, 3, 4)] == vision['layers']
    assert tower.visual.attnpool.num_heads == vision['width'] * 32 // 64
    assert tower.trained_grid == 2 * (vision['image_size'] // 32,)


# What is built: name, family, patch, trained grid, blocks, tokens before the patches.
PUBLISHED = [
    ('ViT-L-14-CLIPA-336', 'average_vit', 14, 24, 24, 1),
    ('MobileCLIP2-L-14', 'timm_vit', 14, 16, 24, 1),
    ('ViT-SO400M-14-SigLIP2-378', 'siglip', 14, 27, 27, 0),
    ('PE-Core-L-14-336', 'perception_encoder', 14, 24, 24, 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'family', 'patch', 'side', 'depth', 'before'), PUBLISHED)
def test_a_tower_of_another_family_is_built(name, family, patch, side, depth, before):
    if name not in MODELS:
        pytest.skip('open_clip too old')
    with torch.device('meta'):
        tower = build_tower(name, surgery='clip_surgery')
    assert type(tower) is FAMILIES[family]
    assert (tower.patch, tower.trained_grid, tower.depth, tower.before) == (
        patch,
        (side, side),
        depth,
        before,
    )
    assert len(tower.blocks) == depth
    assert all(value.is_meta for value in tower.visual.parameters())


def test_a_refused_tower_is_refused_before_its_weights_are_fetched(monkeypatch):
    def fetch(*_, **__):
        raise AssertionError('fetched')

    monkeypatch.setattr('mmseg_clipsurgery.clip.sources.fetch_tag', fetch)
    for arch, tag in (('convnext_base', 'laion400m_s13b_b51k'), ('coca_ViT-B-32', 'laion2b_s13b_b90k')):
        for tower in (*FAMILIES.values(), build_tower):
            with pytest.raises(ValueError, match='is not supported here'):
                tower(arch, tag)


@pytest.mark.parametrize('name', REFUSED)
def test_others_are_refused_by_name(name):
    assert family_of(model_config(name)) is None
    for tower in (*FAMILIES.values(), build_tower):
        with pytest.raises(ValueError, match=r'What works: \S+') as caught:
            tower(name)
        found = re.match(
            rf'{re.escape(name)} is not supported here: it is (.*)\. What works: ', str(caught.value)
        )
        assert found[1].startswith(('a timm tower (', 'a ViT with ', 'a model without'))
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize('name', ['ViT-B-16', 'RN50'])
def test_a_tower_is_built_by_the_class_of_its_family(name):
    with torch.device('meta'):
        assert type(build_tower(name)) is (CLIPSurgeryResNet if name == 'RN50' else CLIPSurgeryViT)


def test_a_family_of_ones_own_builds_what_it_recognises(monkeypatch):
    """A row of the table, and towers that were refused are read."""
    if not hasattr(open_clip.CLIPVisionCfg, 'pool_type'):
        pytest.skip('this open_clip knows no other pooling')

    class UnpooledViT(CLIPSurgeryViT):
        title = 'a ViT without pooling'

        @classmethod
        def recognises(cls, vision):
            return vision.get('pool_type') == 'none' and not vision.get('timm_model_name')

    arch = tiny.changed(tiny.SMALL, vision_cfg=dict(pool_type='none'))
    with pytest.raises(ValueError, match='it is a ViT with'):
        build_tower(arch, surgery='clip')
    monkeypatch.setitem(FAMILIES, 'unpooled', UnpooledViT)
    tower = build_tower(arch, surgery='clip')
    assert type(tower) is UnpooledViT
    assert tower(tiny.images(1, 3, 12, 16)).patch_tokens.shape == (1, 12, 3, 4)


@pytest.mark.parametrize(('name', 'tower'), [('RN50', CLIPSurgeryViT), ('ViT-B-16', CLIPSurgeryResNet)])
def test_the_other_kind_is_named(name, tower):
    with pytest.raises(ValueError, match=f'{name} is not supported here: it is a .*, use CLIPSurgery'):
        tower(name)


@pytest.mark.parametrize('name', slow_but(OPENAI, [*SUPPORTED['vit'], *SUPPORTED['resnet']]))
def test_its_text_tower_is_built(name):
    """Except Hugging Face's, whose configs would be fetched."""
    text = model_config(name)['text_cfg']
    if 'hf_model_name' in text:
        return
    with torch.device('meta'):
        tower = build_text_tower(resolve(name))
    assert len(tower.transformer.resblocks) == text['layers']


REFUSED_DICTS = {
    'timm': (dict(timm_model_name='convnext_base'), r'it is a timm tower \(convnext_base\)'),
    'attention pooling': (dict(attentional_pool=True), 'it is a ViT with attention pooling'),
    'average pooling': (dict(pool_type='avg'), 'it is a ViT with average pooling, use CLIPSurgeryAverageViT'),
    'average pooling, old name': (dict(global_average_pool=True), "it is a ViT with 'avg' pooling"),
    'no pooling': (dict(pool_type='none'), "it is a ViT with 'none' pooling"),
    'rectangular patches': (dict(patch_size=[4, 2]), 'does not cut its image into square patches'),
}
CUSTOM_BLOCKS = {  # in releases of open_clip that have them
    'qk_norm': 'attn.ln_k.bias, .*attn.ln_q.weight',
    'scaled_cosine_attn': 'attn.logit_scale',
    'scale_heads': 'attn.head_scale',
    'scale_attn_inner': 'attn.ln_inner.bias, attn.ln_inner.weight',
    'scale_attn': 'ln_attn.bias, ln_attn.weight',
    'scale_fc': 'mlp.ln.bias, mlp.ln.weight',
}


@pytest.mark.parametrize(('vision', 'message'), REFUSED_DICTS.values(), ids=REFUSED_DICTS.keys())
def test_refused_dicts(vision, message):
    with pytest.raises(ValueError, match=f'the arch dict .*{message}'):
        CLIPSurgeryViT(tiny.changed(tiny.SMALL, vision_cfg=vision), surgery='clip')


@pytest.mark.skipif(not hasattr(open_clip.CLIPVisionCfg, 'qk_norm'), reason='open_clip too old')
@pytest.mark.parametrize(('field', 'names'), CUSTOM_BLOCKS.items(), ids=CUSTOM_BLOCKS.keys())
def test_blocks_that_are_not_covered(field, names):
    arch = tiny.changed(tiny.SMALL, vision_cfg={field: True})
    with pytest.raises(ValueError, match=f'has blocks with {names}, which surgeries do not account for'):
        CLIPSurgeryViT(arch, surgery='clip')


@pytest.mark.skipif(not hasattr(open_clip.CLIPVisionCfg, 'block_type'), reason='open_clip too old')
def test_custom_blocks_without_extras_are_covered():
    images = tiny.images(1, 3, 12, 12)
    arch = tiny.changed(tiny.SMALL, vision_cfg={'block_type': 'custom'})
    tower = CLIPSurgeryViT(arch, tiny.weights_file(tiny.SMALL), 'clip')
    with torch.no_grad():
        torch.testing.assert_close(tower(images).cls_token, tiny.clip(tiny.SMALL).visual(images))
