"""ViTs with average pooling (CLIPA): open_clip's own output, any size and batch, every surgery that is allowed."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import golden
import rows
import tiny
from mmseg_clipsurgery import EXPLAINERS, SURGERIES, Surgery, load
from mmseg_clipsurgery.clip.archs import model_config
from mmseg_clipsurgery.clip.average_vit import CLIPSurgeryAverageViT
from mmseg_clipsurgery.clip.families import build_tower
from mmseg_clipsurgery.similarity import grid_logits, normalize
from mmseg_clipsurgery.structures import TextQueries

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F

pytestmark = pytest.mark.skipif(
    not hasattr(open_clip.CLIPVisionCfg, 'final_ln_after_pool'), reason='this open_clip knows no CLIPA'
)
CLIPA = {
    name: (model_config('ViT-L-14-CLIPA') or {}).get('vision_cfg', {}).get(name)
    for name in ('no_ln_pre', 'pool_type')
}
AFTER = tiny.changed(tiny.SMALL, vision_cfg={**CLIPA, 'layers': 6, 'final_ln_after_pool': True})
BEFORE = tiny.changed(AFTER, vision_cfg={'final_ln_after_pool': False})
POOLS = pytest.mark.parametrize('arch', [AFTER, BEFORE], ids=['norm after the pool', 'norm before'])


def tower(arch, surgery, **settings):
    return build_tower(arch, tiny.weights_file(arch), surgery=surgery, **settings)


@torch.no_grad()
def read(arch, images, surgery='clip', **settings):
    """(image embedding "b c", patches "b n c")."""
    guide = F.interpolate(images, (6, 7))
    tokens = tower(arch, surgery, **settings)(images, guide=guide)
    return tokens.cls_token, tokens.patch_tokens.flatten(2).mT


def test_the_tiny_tower_is_clipas_but_for_its_sizes():
    published = (model_config('ViT-L-14-CLIPA') or AFTER)['vision_cfg']
    sizes = {'image_size', 'patch_size', 'width', 'layers', 'head_width'}
    assert {name: value for name, value in published.items() if name not in sizes} == {
        name: value for name, value in AFTER['vision_cfg'].items() if name not in sizes
    }


@contextmanager
def leaving(block: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """The tokens "b n d" that leave a block, from its first run on; some releases have tokens before images."""
    found: list[torch.Tensor] = []
    first = getattr(block.attn, 'batch_first', False)
    hook = block.register_forward_hook(
        lambda _, given, out: found.append(out if first else out.transpose(0, 1))
    )
    try:
        yield found
    finally:
        hook.remove()


@POOLS
def test_zero_blocks_are_open_clips_own_tokens(arch):
    images, visual = tiny.images(2, 3, 12, 12), tiny.clip(arch).visual
    first, patches = read(arch, images)
    with torch.no_grad(), leaving(visual.transformer.resblocks[-1]) as tokens:
        golden.assert_close(first, visual(images), 1e-5)
        golden.assert_close(patches, visual.ln_post(tokens[0][:, 1:]) @ visual.proj, 1e-5)
    assert type(tower(arch, 'clip')) is CLIPSurgeryAverageViT


@pytest.mark.slow
@POOLS
def test_layer_reads_earlier_patches_beside_the_whole_towers_embedding(arch):
    images, visual = tiny.images(1, 3, 12, 12), tiny.clip(arch).visual
    first, patches = read(arch, images, layer=4)
    with torch.no_grad(), leaving(visual.transformer.resblocks[3]) as tokens:
        golden.assert_close(first, visual(images), 1e-5)
        golden.assert_close(patches, visual.ln_post(tokens[0][:, 1:]) @ visual.proj, 1e-5)


def test_plain_attention_on_the_side_is_clip():
    images = tiny.images(1, 3, 16, 12)
    side = read(AFTER, images, Surgery(4, 'qk', residual=True, ffn=True))
    for found, wanted in zip(side, read(AFTER, images), strict=True):
        golden.assert_close(found, wanted, 2e-6)


@pytest.mark.slow
@pytest.mark.parametrize('name', SURGERIES)
def test_every_surgery(name):
    """A batch is its images at another size and back; permuting the texts permutes the maps."""
    surgery, small, large = rows.fitted(name), tiny.images(2, 3, 12, 12), tiny.images(2, 3, 16, 20)
    before, batch = read(AFTER, small, surgery), read(AFTER, large, surgery)
    singles = zip(*(read(AFTER, one[None], surgery) for one in large), strict=True)
    for found, parts in zip(batch, singles, strict=True):
        golden.assert_close(found, torch.cat(parts), 5e-6)
    assert all(map(torch.equal, read(AFTER, small, surgery), before))
    with torch.no_grad():
        tokens = tower(AFTER, surgery)(large, guide=F.interpolate(large, (6, 7)))
    texts, order = normalize(tiny.images(3, 12)), [2, 0, 1]
    maps, permuted = (
        grid_logits(tokens, TextQueries(words, torch.arange(3)), 'released')
        for words in (texts, texts[order])
    )
    golden.assert_close(permuted, maps[:, order], 1e-5)


def test_explainers_of_a_class_token_are_refused():
    with pytest.raises(ValueError, match='is a ViT with average pooling, and this explainer reads the class'):
        EXPLAINERS['legrad'](tower(AFTER, 'clip'), tiny.images(1, 3, 12, 12), torch.ones(1, 12))


@pytest.mark.slow
def test_words_by_its_own_tokenizer(tmp_path):
    """BERT's, whose end token is taken off; every token is seen, the last place is read."""
    transformers = pytest.importorskip('transformers')
    words = ['cat', 'green grass', 'sky']
    own = tiny.changed(AFTER, text_cfg=dict(pool_type='last', no_causal_mask=True))
    named = tiny.changed(
        own, text_cfg=dict(hf_tokenizer_name='org/bert', tokenizer_kwargs={'strip_sep_token': True})
    )
    (tmp_path / 'open_clip_config.json').write_text(json.dumps({'model_cfg': named, 'preprocess_cfg': {}}))
    shutil.copy(tiny.weights_file(own), tmp_path / 'open_clip_model.safetensors')
    (tmp_path / 'vocab.txt').write_text(
        '\n'.join(['[PAD]', '[UNK]', '[CLS]', '[SEP]', *' '.join(words).split()])
    )
    transformers.BertTokenizerFast(str(tmp_path / 'vocab.txt')).save_pretrained(tmp_path)
    model = load(tmp_path, templates='bare', text_cache=False)
    ids = torch.zeros(3, 12, dtype=torch.int64)
    ids[:, 0], ids[:, 1], ids[1, 2] = 2, torch.tensor([4, 5, 7]), 6
    with torch.no_grad():
        wanted = normalize(tiny.clip(own).encode_text(ids))
    golden.assert_close(model.encoders.text.embed_words(words), wanted, 1e-5)
    assert model.segment(np.zeros((20, 28, 3), np.uint8), words).labels.shape == (20, 28)
