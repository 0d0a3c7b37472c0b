"""Model files that name code: refused, in one sentence, and nothing runs."""

import inspect
import json
import sys
import types
from pathlib import Path
from typing import ClassVar

import tiny
from mmseg_clipsurgery.clip import building, remote_code
from mmseg_clipsurgery.clip.building import build_text_tower
from mmseg_clipsurgery.clip.sources import resolve
from mmseg_clipsurgery.clip.tokenizer import Tokenizer

import open_clip
import pytest
from mmengine.config import ConfigDict
from torch import nn

TOKENIZER = {'hf_tokenizer_name': 'org/words', 'tokenizer_kwargs': {'trust_remote_code': True}}
NAMING_CODE = {
    'tokenizer': tiny.changed(tiny.SMALL, text_cfg=TOKENIZER),
    'said to be off': tiny.changed(
        tiny.SMALL, text_cfg={**TOKENIZER, 'tokenizer_kwargs': {'trust_remote_code': False}}
    ),
    'top': tiny.SMALL | {'trust_remote_code': True},
    'in a list': tiny.changed(tiny.SMALL, vision_cfg={'act_kwargs': [{'more': {'auto_map': {}}}]}),
    'revision': tiny.changed(tiny.SMALL, text_cfg={'tokenizer_kwargs': {'code_revision': 'main'}}),
    'over a name': {'name': 'ViT-B-16', 'text_cfg': TOKENIZER},
}


@pytest.mark.parametrize('arch', NAMING_CODE.values(), ids=NAMING_CODE.keys())
@pytest.mark.parametrize('kind', [dict, ConfigDict])
def test_an_arch_dict_that_names_code_is_refused(arch, kind):
    with pytest.raises(
        ValueError, match=r'the arch dict holds .*code of a model is never executed, remove it'
    ):
        resolve(kind(arch))


def model_folder(path: Path, arch: dict, **files: dict) -> Path:
    path.mkdir()
    (path / 'open_clip_config.json').write_text(json.dumps({'model_cfg': arch}))
    for name, content in files.items():
        (path / f'{name}.json').write_text(json.dumps(content))
    return path


@pytest.mark.parametrize('place', ['arch', 'pretrained'])
@pytest.mark.parametrize(
    ('arch', 'files'),
    [
        (NAMING_CODE['tokenizer'], {}),
        (tiny.SMALL, {'tokenizer_config': {'auto_map': {'AutoTokenizer': ['evil.Evil', None]}}}),
        (tiny.SMALL, {'config': {'auto_map': {'AutoModel': 'evil.Evil'}}}),
    ],
    ids=['settings', 'tokenizer_config.json', 'config.json'],
)
def test_a_folder_that_names_code_is_refused(arch, files, place, tmp_path):
    folder = model_folder(tmp_path / 'model', arch, **files)
    given = (folder,) if place == 'arch' else (tiny.SMALL, folder)
    with pytest.raises(
        ValueError, match=r'json holds .*(trust_remote_code|auto_map): code of a model is never'
    ):
        resolve(*given)


@pytest.mark.parametrize('where', ['hf_model_name', 'hf_tokenizer_name'])
def test_a_folder_that_an_arch_points_at_is_looked_at_too(where, tmp_path):
    folder = tmp_path / 'words'
    folder.mkdir()
    (folder / 'config.json').write_text('{"auto_map": {"AutoConfig": "evil.Evil"}}')
    source = resolve(tiny.changed(tiny.SMALL, text_cfg={where: str(folder)}))
    with pytest.raises(ValueError, match=r'config\.json holds auto_map'):
        (build_text_tower if where == 'hf_model_name' else Tokenizer)(source)


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('config.4.0.0', {'auto_map': {'AutoConfig': 'evil.Evil'}}),
        ('tokenizer_config', {'init_kwargs': {'auto_map': {}}}),
    ],
    ids=['a config in place of another', 'deep in the tokenizer'],
)
def test_every_config_of_a_folder_is_looked_at(name, content, tmp_path):
    (tmp_path / 'config.json').write_text(json.dumps({'configuration_files': ['config.4.0.0.json']}))
    (tmp_path / f'{name}.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'{name}.json holds .*auto_map'):
        remote_code.refuse_code_in(tmp_path)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with one repository, org/words, in its cache; what was asked of it."""
    asked = []

    def snapshot_download(name, allow_patterns, local_files_only):
        asked.append((name, tuple(allow_patterns), local_files_only))
        if name != 'org/words':
            raise OSError(f'no repository {name}')
        return str(tmp_path)

    monkeypatch.setattr('huggingface_hub.snapshot_download', snapshot_download)
    return asked


class AutoTokenizer:
    """transformers', which notes what it is told."""

    seen: ClassVar[dict] = {}

    @classmethod
    def from_pretrained(cls, name, **settings):
        cls.seen = {'name': name, **settings}
        return cls()


def test_transformers_is_told_not_to_trust(hub, monkeypatch, tmp_path):
    """Without being told, transformers asks on the terminal."""
    monkeypatch.setitem(sys.modules, 'transformers', types.SimpleNamespace(AutoTokenizer=AutoTokenizer))
    Tokenizer(resolve(tiny.changed(tiny.SMALL, text_cfg={'hf_tokenizer_name': 'org/words'})))
    settings = inspect.signature(open_clip.tokenizer.HFTokenizer.__init__).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in settings):  # older releases hand nothing on to transformers
        assert AutoTokenizer.seen['trust_remote_code'] is False
    assert AutoTokenizer.seen['name'] == str(tmp_path)  # the files that were looked at, not the name


@pytest.mark.parametrize('where', ['hf_model_name', 'hf_tokenizer_name'])
def test_a_repository_of_the_hub_is_looked_at_before_it_is_used(where, hub, tmp_path):
    (tmp_path / 'config.json').write_text('{"auto_map": {"AutoConfig": "evil.Evil"}}')
    source = resolve(tiny.changed(tiny.SMALL, text_cfg={where: 'org/words'}))
    with pytest.raises(ValueError, match=r'config\.json holds auto_map'):
        (build_text_tower if where == 'hf_model_name' else Tokenizer)(source)
    assert hub == [('org/words', remote_code.HUB_FILES, False)]
    assert not any('.py' in pattern or 'bin' in pattern for pattern in remote_code.HUB_FILES)


@pytest.mark.parametrize('where', ['hf_model_name', 'hf_tokenizer_name'])
@pytest.mark.parametrize('over', [False, True], ids=['folder', 'fields over a folder'])
def test_a_local_folder_fetches_nothing(where, over, hub, tmp_path):
    arch = tiny.changed(tiny.SMALL, text_cfg={where: 'org/other'})
    folder = model_folder(tmp_path / 'model', arch)
    source = resolve({'name': str(folder), 'quick_gelu': False} if over else folder, 'random')
    with pytest.raises(
        FileNotFoundError, match=r"'org/other', which the config .* or run hf download org/other"
    ):
        (build_text_tower if where == 'hf_model_name' else Tokenizer)(source)
    assert [local for _, _, local in hub] == [True]


@pytest.mark.parametrize(
    'settings',
    [
        {'proxies': {'https': 'evil'}},
        {'vocab_file': '/x'},
        {'subfolder': 'y'},
        {'cache_dir': '/x'},
        {'token': 't'},
    ],
    ids=lambda settings: next(iter(settings)),
)
@pytest.mark.parametrize('kind', ['open_clip', 'transformers'])
def test_settings_that_are_handed_on_to_transformers_are_refused(settings, kind, hub):
    text = {'tokenizer_kwargs': settings} | (
        {'hf_tokenizer_name': 'org/words'} if kind == 'transformers' else {}
    )
    with pytest.raises(
        ValueError, match=f'tokenizer_kwargs holds {next(iter(settings))}, which is no setting'
    ):
        Tokenizer(resolve(tiny.changed(tiny.SMALL, text_cfg=text)))
    assert hub == []


def test_weights_are_never_fetched_beside_the_source(monkeypatch, hub):
    seen = []
    monkeypatch.setattr(
        building, 'build', lambda _, kind, source, settings: seen.append(settings) or nn.Identity()
    )
    text = {'hf_model_name': 'org/words', 'hf_model_pretrained': True}
    source = resolve(tiny.changed(tiny.SMALL, text_cfg=text, vision_cfg={'timm_model_pretrained': True}))
    build_text_tower(source), building.build_image_tower(source)
    assert seen[0]['hf_model_pretrained'] is False
    assert 'timm_model_pretrained' not in seen[1]


def test_keys_are_named_with_their_place():
    found = remote_code.code_keys(
        {'a': [{'auto_map': 1}], 'text_cfg': {'trust_remote_code': 0}, 'b': 'auto_map'}
    )
    assert list(found) == ['a.auto_map', 'text_cfg.trust_remote_code']
