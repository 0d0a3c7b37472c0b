"""CLIPs of Hugging Face's form: transformers' own forward, in one file, in shards, from a folder; what is refused."""

import json
from pathlib import Path

import tiny
from mmseg_clipsurgery.clip.building import build_image_tower, build_text_tower
from mmseg_clipsurgery.clip.checkpoints import read_weights
from mmseg_clipsurgery.clip.hugging_face import model_config
from mmseg_clipsurgery.clip.sources import resolve
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT

import pytest
import torch

TOWER = dict(hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2)


@pytest.fixture(scope='module', params=['quick_gelu', 'gelu'])
def theirs(request, tmp_path_factory):
    """A seeded CLIPModel and its folder."""
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(3)
    config = transformers.CLIPConfig(
        vision_config=dict(TOWER, image_size=32, patch_size=8, hidden_act=request.param),
        text_config=dict(
            TOWER,
            intermediate_size=64,
            vocab_size=49408,
            max_position_embeddings=20,
            hidden_act=request.param,
        ),
        projection_dim=12,
    )
    model = transformers.CLIPModel(config).eval()
    for value in model.parameters():  # biases and norms start at 0 and 1, where a mistake would not show
        torch.nn.init.normal_(value, std=0.2)
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    statistics = {'image_mean': [0.1, 0.2, 0.3], 'image_std': [0.5, 0.6, 0.7]}
    (folder / 'preprocessor_config.json').write_text(json.dumps(statistics))
    return model, folder


def texts() -> torch.Tensor:
    ids = torch.randint(1, 49000, (3, 20), generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[0, 5:], ids[1, 9:], ids[2, 19:] = 49406, 0, 0, 0
    ids[0, 5] = ids[1, 9] = ids[2, 19] = 49407
    return ids


@pytest.mark.slow
def test_features_equal_those_of_transformers(theirs):
    model, folder = theirs
    source, images = resolve(folder), tiny.images(2, 3, 32, 32)
    with torch.inference_mode():
        wanted = model.get_image_features(pixel_values=images), model.get_text_features(input_ids=texts())
        found = build_image_tower(source)(images), build_text_tower(source)(texts())
    assert source.mean == (0.1, 0.2, 0.3)
    assert source.std == (0.5, 0.6, 0.7)
    for ours, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


@pytest.mark.slow
def test_a_tower_without_surgery_gives_their_class_token(theirs):
    model, folder = theirs
    images = tiny.images(2, 3, 32, 32)
    with torch.inference_mode():
        found = CLIPSurgeryViT(folder, surgery='clip')(images).cls_token
        wanted = model.get_image_features(pixel_values=images)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.slow
def test_shards_equal_one_file(theirs, tmp_path):
    model, folder = theirs
    model.save_pretrained(tmp_path, max_shard_size='100KB')
    index = tmp_path / 'model.safetensors.index.json'
    assert len(list(tmp_path.glob('*.safetensors'))) > 1
    assert resolve(tmp_path).weights == index
    one, many = read_weights(folder / 'model.safetensors'), read_weights(index)
    assert one.keys() == many.keys()
    assert all(torch.equal(one[name], many[name]) for name in one)
    next(tmp_path.glob('model-00001*')).unlink()
    with pytest.raises(
        FileNotFoundError, match=r'model-00001.* is missing, which model.safetensors.index.json'
    ):
        read_weights(index)


def config(**changes) -> dict:
    return {'model_type': 'clip', 'projection_dim': 8, 'vision_config': {}, 'text_config': {}, **changes}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (config(model_type='siglip'), "a model of type 'siglip'"),
        (config(vision_config={'hidden_act': 'silu'}), r"hidden_act .* got \['quick_gelu', 'silu'\]"),
        (config(text_config={'hidden_act': ['gelu']}), r'hidden_act .* got \['),
        (config(vision_config={'patch_size': '8'}), "vision_config.patch_size must be a whole number .* '8'"),
        (config(text_config={'vocab_size': 600, 'eos_token_id': 7}), 'eos_token_id must be 599, got 7'),
        (config(text_config={'eos_token_id': 7}), 'eos_token_id must be 49407, got 7'),
        (
            config(vision_config={'layer_norm_eps': 1e-6}),
            'vision_config.layer_norm_eps is 1e-06, and open_clip',
        ),
        (config(vision_config={'num_channels': 4}), 'vision_config.num_channels is 4'),
        (
            config(text_config={'hidden_size': 20, 'num_attention_heads': 3}),
            'a multiple of its 3 heads, got 20',
        ),
        (config(vision_config=[1]), 'vision_config must hold names and values, got .1.'),
    ],
    ids=[
        *('other model', 'activation', 'activations in a list', 'size', 'end of text', 'end of OpenAI text'),
        *('norms', 'channels', 'heads', 'no mapping'),
    ],
)
def test_configs_of_other_models_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        model_config(content, Path('m/config.json'))


def test_a_config_states_what_open_clip_needs():
    """Defaults are those of CLIPConfig: OpenAI's ViT-B/32."""
    found = model_config(config(projection_dim=512), Path('m/config.json'))
    assert found['quick_gelu'] is True
    vision, text = found['vision_cfg'], found['text_cfg']
    assert 'mlp_ratio' not in text
    narrow = config(text_config={'hidden_size': 16, 'intermediate_size': 40})
    assert model_config(narrow, Path('m/config.json'))['text_cfg']['mlp_ratio'] == 2.5
    assert (vision['layers'], vision['width'], vision['head_width'], vision['mlp_ratio']) == (12, 768, 64, 4)
    assert (text['context_length'], text['heads'], text['width'], text['vocab_size']) == (77, 8, 512, 49408)


def tensors() -> dict[str, torch.Tensor]:
    """Names of one block of each tower, as few as show what is wrong."""
    block = 'encoder.layers.0.self_attn'
    names = [
        f'{tower}.{block}.{letter}_proj.bias' for tower in ('vision_model', 'text_model') for letter in 'qkv'
    ]
    return {name: torch.full((2,), float(place)) for place, name in enumerate(names)}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda t: [t.pop(name) for name in list(t) if name.startswith('text_model')],
            'holds no text tower',
        ),
        (lambda t: [t.pop(name) for name in list(t) if name.startswith('vision')], 'holds no image tower'),
        (
            lambda t: t.pop('text_model.encoder.layers.0.self_attn.k_proj.bias'),
            'lacks text_model.*k_proj.bias',
        ),
        (
            lambda t: t.update({'vision_model.extra.weight': torch.ones(1)}),
            'also holds vision_model.extra.weight',
        ),
        (lambda t: t.update({'x.lora_A.weight': torch.ones(1)}), 'is a LoRA adapter; merge it'),
        (lambda t: t.update({'positional_embedding_res': torch.ones(1)}), 'is a Long-CLIP'),
    ],
    ids=['no text', 'no image', 'no k', 'more', 'LoRA', 'Long-CLIP'],
)
def test_what_is_no_whole_clip_is_named(change, message, tmp_path):
    found = tensors()
    change(found)
    torch.save(found, tmp_path / 'weights.pt')
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / 'weights.pt')


def test_q_k_and_v_become_one():
    found = read_weights_of(tensors())
    assert found['visual.transformer.resblocks.0.attn.in_proj_bias'].tolist() == [0, 0, 1, 1, 2, 2]
    assert found['transformer.resblocks.0.attn.in_proj_bias'].tolist() == [3, 3, 4, 4, 5, 5]


def read_weights_of(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from mmseg_clipsurgery.clip.hugging_face import to_open_clip

    return to_open_clip(found, 'weights.pt')


@pytest.mark.parametrize('name', ['../x.safetensors', '/x.safetensors', '..', ''])
def test_shards_outside_of_their_folder_are_refused(name, tmp_path):
    index = tmp_path / 'model.safetensors.index.json'
    index.write_text(json.dumps({'weight_map': {'a': name}}))
    with pytest.raises(ValueError, match='which does not lie beside it'):
        read_weights(index)
