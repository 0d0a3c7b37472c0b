"""An arch as a dict with a name: the named model, with the fields that the dict replaces."""

import json
import shutil
from pathlib import Path

import tiny
from mmseg_clipsurgery.clip.archs import read_arch
from mmseg_clipsurgery.clip.sources import Source, resolve

import open_clip
import pytest
import torch
from mmengine.config import ConfigDict

MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model in open_clip's local-dir form."""
    path = tmp_path / 'model'
    path.mkdir()
    config = {'model_cfg': tiny.SMALL, 'preprocess_cfg': {'mean': MEAN, 'std': STD}}
    (path / 'open_clip_config.json').write_text(json.dumps(config))
    shutil.copy(tiny.weights_file(tiny.SMALL, suffix='.pt'), path / 'open_clip_pytorch_model.bin')
    return path


@pytest.fixture
def named(monkeypatch, tmp_path) -> str:
    """'tiny', an open_clip model name with the tag 'openai', whose file is there."""
    tag = {'url': 'https://example.invalid/openai.pt', 'hf_hub': '', 'mean': MEAN, 'std': STD}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, 'tiny', tiny.SMALL | {'quick_gelu': True})
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, 'tiny', {'openai': tag})
    shutil.copy(tiny.weights_file(tiny.SMALL, suffix='.pt'), tmp_path / 'openai.pt')
    monkeypatch.setattr(
        open_clip.pretrained, 'download_pretrained', lambda *_, **__: str(tmp_path / 'openai.pt')
    )
    return 'tiny'


def both(name, pretrained=None) -> tuple[Source, Source]:
    return resolve(name, pretrained), resolve(ConfigDict(name=str(name)), pretrained)


def test_a_name_alone_is_the_name_in_every_respect(named, folder):
    for plain, as_dict in (both('ViT-B-16'), both('scenes'), both(named, 'openai'), both(folder)):
        assert plain == as_dict


def test_fields_are_replaced_and_the_rest_stays(folder):
    arch = dict(name=str(folder), vision_cfg=dict(image_size=24), quick_gelu=True)
    config, found, preprocess = read_arch(arch)
    assert config == tiny.changed(tiny.SMALL, vision_cfg=dict(image_size=24), quick_gelu=True)
    assert (found, preprocess) == (folder, {'mean': MEAN, 'std': STD})
    source = resolve(arch)
    assert source.weights == folder / 'open_clip_pytorch_model.bin'  # the folder's own
    assert source.label == f'{folder} with fields of your own'
    assert source.quick_gelu is True


def test_the_named_models_tags_stay(named):
    source = resolve(dict(name=named, text_cfg=dict(context_length=7)), 'openai')
    assert (source.mean, source.quick_gelu) == (tuple(MEAN), True)
    assert source.config['text_cfg']['context_length'] == 7
    with pytest.raises(ValueError, match='contradictory activation'):
        resolve(dict(name=named, quick_gelu=False), 'openai')


def test_a_complete_dict_stands_for_itself_whatever_name_a_base_left_in_it(named):
    left = dict(tiny.SMALL, name='ViT-B-16')
    assert resolve(left) == resolve(tiny.SMALL)
    assert resolve(left).label == 'the arch dict'


def test_what_was_given_is_not_changed(folder):
    arch = dict(name=str(folder), vision_cfg=dict(image_size=24))
    read_arch(arch)
    assert arch == dict(name=str(folder), vision_cfg=dict(image_size=24))


def test_both_towers_are_built_from_it(folder):
    arch = dict(name=str(folder), vision_cfg=dict(layers=2), quick_gelu=False)
    weights = tiny.weights_file(tiny.changed(tiny.SMALL, vision_cfg=dict(layers=2)))
    tower = tiny.CLIPSurgeryViT(arch, weights, 'maskclip')
    expected = tiny.vit('maskclip', tiny.changed(tiny.SMALL, vision_cfg=dict(layers=2)))
    images = tiny.images(1, 3, 12, 16)
    assert torch.equal(tower(images).patch_tokens, expected(images).patch_tokens)
    text = tiny.OpenCLIPTextEncoder(arch, weights, text_cache=False, templates=['{}'])
    assert text.source.config['vision_cfg']['layers'] == 2


@pytest.mark.parametrize(
    ('arch', 'message'),
    [
        (dict(name='ViT-B-17', quick_gelu=True), "unknown arch 'ViT-B-17': did you mean"),
        (dict(quick_gelu=True), 'the arch dict lacks embed_dim, vision_cfg; .* or with name'),
        (dict(name=3, quick_gelu=True), 'arch must be a model name, a folder or a dict, got 3'),
        (dict(name=''), 'the arch dict lacks embed_dim, vision_cfg'),
    ],
    ids=['unknown name', 'no name', 'a number', 'empty'],
)
def test_errors(arch, message):
    with pytest.raises(ValueError, match=message):
        resolve(arch)
