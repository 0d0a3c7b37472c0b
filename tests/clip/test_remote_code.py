"""Model files that name code: refused, in one sentence, and nothing runs."""

import json
import sys
import types
from pathlib import Path

import tiny
from mmseg_clipsurgery.clip import remote_code
from mmseg_clipsurgery.clip.building import build_text_tower
from mmseg_clipsurgery.clip.sources import resolve
from mmseg_clipsurgery.clip.tokenizer import Tokenizer

import pytest
from mmengine.config import ConfigDict

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


def test_transformers_is_told_not_to_trust(monkeypatch):
    """Without being told, transformers asks on the terminal."""
    seen = {}

    class AutoTokenizer:
        @staticmethod
        def from_pretrained(name, **settings):
            seen.update(settings, name=name)
            return AutoTokenizer()

    monkeypatch.setitem(sys.modules, 'transformers', types.SimpleNamespace(AutoTokenizer=AutoTokenizer))
    Tokenizer(resolve(tiny.changed(tiny.SMALL, text_cfg={'hf_tokenizer_name': 'org/words'})))
    assert seen['trust_remote_code'] is False
    assert seen['name'] == 'org/words'


def test_keys_are_named_with_their_place():
    found = remote_code.code_keys(
        {'a': [{'auto_map': 1}], 'text_cfg': {'trust_remote_code': 0}, 'b': 'auto_map'}
    )
    assert list(found) == ['a.auto_map', 'text_cfg.trust_remote_code']
