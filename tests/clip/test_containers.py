"""Weights as training scripts leave them: every container and prefix gives the same tensors; averages are named."""

import logging
from pathlib import Path

from mmseg_clipsurgery.clip.checkpoints import read_tensors, read_weights
from mmseg_clipsurgery.clip.model_folders import is_hub_id

import pytest
import torch
from safetensors.torch import save_file

TENSORS = {'visual.conv1.weight': torch.ones(2), 'token_embedding.weight': torch.zeros(3)}


def prefixed(prefix: str) -> dict:
    return {prefix + name: value for name, value in TENSORS.items()}


CONTENTS = {
    'bare': TENSORS,
    'DataParallel': prefixed('module.'),
    'compiled': prefixed('_orig_mod.'),
    'compiled and parallel': prefixed('module._orig_mod.'),
    'a compiled tower': {
        'visual._orig_mod.conv1.weight': TENSORS['visual.conv1.weight'],
        'token_embedding.weight': TENSORS['token_embedding.weight'],
    },
    'FSDP over checkpoints': {
        '_fsdp_wrapped_module.visual._checkpoint_wrapped_module.conv1.weight': TENSORS['visual.conv1.weight'],
        '_fsdp_wrapped_module.token_embedding.weight': TENSORS['token_embedding.weight'],
    },
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


LOSS, COUNT = {'loss.temperature': torch.ones(1)}, {'val_acc.hits': torch.zeros(3, dtype=torch.int64)}
BESIDE = {  # a CLIP under a prefix of its own, and what else stands there: what is said of it
    'loss': ({**prefixed('model.'), **LOSS}, "under 'model.' is taken; loss.temperature is not"),
    'metrics in Lightning': (
        {'state_dict': {**prefixed('model.'), **COUNT}},
        "under 'model.' is taken; val_acc.hits is not",
    ),
    'average': (
        {**prefixed('model.'), **prefixed('model_ema.')},
        "under 'model.' is taken; model_ema.token_embedding.weight, model_ema.visual.conv1.weight is not",
    ),
    'average under it': (
        {**TENSORS, **prefixed('ema.')},
        "under '' is taken; ema.token_embedding.weight, ema.visual.conv1.weight is not",
    ),
    'counter of averages': (
        {**prefixed('module.'), 'n_averaged': torch.tensor(5)},
        "under 'module.' is taken; n_averaged is not",
    ),
    'unknown prefix': (prefixed('student.net.'), 'the prefix student.net. of every name was stripped'),
    'container as a prefix': (prefixed('state_dict.model.'), 'the prefix state_dict.model. of every name'),
}


@pytest.mark.parametrize('suffix', ['.pt', '.safetensors'])
@pytest.mark.parametrize(('content', 'said'), BESIDE.values(), ids=BESIDE)
def test_the_clip_beside_other_parts_is_taken(content, said, suffix, tmp_path, caplog):
    path = tmp_path / f'weights{suffix}'
    if suffix == '.pt':
        torch.save(content, path)
    else:  # has no containers
        save_file({name: value.clone() for name, value in content.get('state_dict', content).items()}, path)
    with caplog.at_level(logging.INFO, 'mmseg_clipsurgery'):
        found = read_weights(path)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)
    assert said in caplog.text


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (
            {**prefixed('student.'), **prefixed('teacher.')},
            r'several models \(student., teacher.\); save the one',
        ),
        ({**TENSORS, **prefixed('other.')}, r'several models \(no prefix, other.\); save the one'),
        ({**TENSORS, **prefixed('_orig_mod.')}, 'holds a model twice, wrapped and not; save one'),
        (prefixed('model_ema.'), r'an average of weights alone \(model_ema.\); save the one'),
    ],
    ids=['two', 'two, one without', 'wrapped and not', 'average'],
)
def test_several_models_or_an_average_alone_are_refused(content, message, tmp_path):
    torch.save(content, tmp_path / 'weights.pt')
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / 'weights.pt')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'model_ema': TENSORS, 'epoch': 1}, "an average of weights alone .'model_ema'."),
        ({'optimizer': {}, 'epoch': 1}, 'holds no state dict'),
        ({}, 'holds no state dict'),
        ([torch.ones(1)], 'holds no state dict'),
        ({**TENSORS, 'epoch': 3}, 'beside tensors it has epoch; save the tensors alone'),
        ({'state_dict': {**TENSORS, 'scale': None}}, 'beside tensors it has scale'),
        (
            {'state_dict': {'state_dict': {'state_dict': {'state_dict': {'state_dict': TENSORS}}}}},
            'no state dict',
        ),
    ],
    ids=['average', 'no weights', 'nothing', 'a list', 'a number beside', 'nothing beside', 'too deep'],
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
