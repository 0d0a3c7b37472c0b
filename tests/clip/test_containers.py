"""Weights as training scripts leave them: every container and prefix gives the same tensors; averages are named."""

import logging
from pathlib import Path

from mmseg_clipsurgery.clip.checkpoints import read_tensors
from mmseg_clipsurgery.clip.model_folders import is_hub_id

import pytest
import torch

TENSORS = {'visual.conv1.weight': torch.ones(2), 'token_embedding.weight': torch.zeros(3)}


def prefixed(prefix: str) -> dict:
    return {prefix + name: value for name, value in TENSORS.items()}


CONTENTS = {
    'bare': TENSORS,
    'DataParallel': prefixed('module.'),
    'compiled': prefixed('_orig_mod.'),
    'compiled and parallel': prefixed('module._orig_mod.'),
    'clip_model': prefixed('model.clip_model.'),
    'Lightning': {'state_dict': prefixed('model.'), 'epoch': 3, 'callbacks': {}},
    'model': {'model': TENSORS, 'optimizer': {'state': {}}, 'step': 4},
    'model_state_dict': {'model_state_dict': TENSORS, 'loss': 0.1},
    'nested': {'state_dict': {'model': prefixed('module.')}},
    'average beside': {'model_ema': prefixed('x.'), 'state_dict': TENSORS},
}


@pytest.mark.parametrize('content', CONTENTS.values(), ids=CONTENTS)
def test_every_container_holds_the_same(content, tmp_path):
    torch.save(content, tmp_path / 'weights.pt')
    found = read_tensors(tmp_path / 'weights.pt')
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_prefixes_of_safetensors_are_stripped(tmp_path):
    from safetensors.torch import save_file

    save_file(prefixed('module.model.'), tmp_path / 'weights.safetensors')
    assert read_tensors(tmp_path / 'weights.safetensors').keys() == TENSORS.keys()


def test_what_was_opened_stripped_and_left_is_logged(tmp_path, caplog):
    path = tmp_path / 'weights.pt'
    torch.save({'state_dict': {'model': prefixed('module.')}, 'ema': TENSORS}, path)
    with caplog.at_level(logging.INFO, 'mmseg_clipsurgery'):
        read_tensors(path)
    for said in (
        "'state_dict' is taken, the average 'ema' beside it is not",
        'weights read from state_dict > model',
        'the prefix module. of every name was stripped',
    ):
        assert said in caplog.text


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'model_ema': TENSORS, 'epoch': 1}, "an average of weights alone .'model_ema'."),
        ({'optimizer': {}, 'epoch': 1}, 'holds no state dict'),
        ({}, 'holds no state dict'),
        ([torch.ones(1)], 'holds no state dict'),
        (
            {'state_dict': {'state_dict': {'state_dict': {'state_dict': {'state_dict': TENSORS}}}}},
            'no state dict',
        ),
    ],
    ids=['average', 'no weights', 'nothing', 'a list', 'too deep'],
)
def test_what_holds_no_weights_is_refused(content, message, tmp_path):
    torch.save(content, tmp_path / 'weights.pt')
    with pytest.raises(ValueError, match=message):
        read_tensors(tmp_path / 'weights.pt')


def test_a_prefix_of_some_names_stays(tmp_path):
    torch.save({**TENSORS, 'module.more': torch.ones(1)}, tmp_path / 'weights.pt')
    assert 'module.more' in read_tensors(tmp_path / 'weights.pt')


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('openai/clip-vit-base-patch16', True),
        ('wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M', True),
        ('ViT-B/16', False),
        ('RN50x4/7', False),
        ('weights/clip.pt', False),
        ('here/clip', False),
        ('a/b/c', False),
        ('../clip', False),
        ('clip', False),
    ],
)
def test_which_names_are_a_hubs(name, expected, tmp_path, monkeypatch):
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_hub_id(name) is expected
    assert not Path(name).exists()
