"""Folders in open_clip's local-dir form: configs, tokenizers and merges that are damaged, odd, or name code.

Oracle: what is accepted is what the folder says: the same JSON as Python reads, the weights' own tensors in the towers,
and, where nothing that matters was changed, the labels of the sound folder.
"""

import gzip
import json
import math
import shutil
from pathlib import Path
from typing import Any

import photos
from campaign.inputs import ODD, Input, altered, damaged, require
from campaign.weights import same
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.api.model import SurgeryModel
from mmseg_clipsurgery.clip.checkpoints import read_weights

import numpy as np

WORDS = ['ab', 'ba b', 'a']
MERGES = '#version: 0.2\na b</w>\nb a\na b\n'
BOMB = gzip.compress(b'#version: 0.2\n' + b'a b\n' * 3_000_000, 1)
CODE = {
    'auto_map': {
        'AutoTokenizer': ['evil.Evil', 'evil.Evil'],
        'AutoConfig': 'evil.Evil',
        'AutoModel': 'evil.Evil',
    }
}
CODE_SETTINGS: list[dict[str, Any]] = [
    *({'trust_remote_code': True}, {'code_revision': 'main'}, {'config': CODE}),
    *({'tokenizer_type': 'evil'}, {'subfolder': 'more'}),
]
ARCH = {
    **photos.ARCH,
    'text_cfg': {**photos.ARCH['text_cfg'], 'vocab_size': 520, 'tokenizer_kwargs': {'bpe_path': 'merges.txt.gz'}},
}  # fmt: skip


def prepare() -> tuple[Path, np.ndarray]:
    """A sound folder, and the labels that its model gives."""
    from tiny import folder

    path = folder() / 'sound'
    if not path.exists():
        photos.folder(path, ARCH)
        (path / 'merges.txt.gz').write_bytes(gzip.compress(MERGES.encode()))
    return path, labels(loaded(path))


def loaded(path: Any, pretrained: Any = None) -> SurgeryModel:
    return load(path, pretrained, photos.SURGERY, templates='bare', text_cache=False, short_side=24)


def labels(model: SurgeryModel) -> np.ndarray:
    return model.segment(photos.photo(20, 24), WORDS).labels


def trial(sound: tuple[Path, np.ndarray], given: Input) -> None:
    path = given.folder / 'model'
    shutil.copytree(sound[0], path)
    given.kind(config, config_bytes, merges, code, arch_dict, files)(path, sound[1], given)


def judge(model: SurgeryModel, path: Path, expected: np.ndarray, unchanged: bool) -> None:
    """What was accepted is what the folder says."""
    content = json.loads((path / 'open_clip_config.json').read_text())
    source = (
        model.encoders.tower.source if hasattr(model.encoders.tower, 'source') else model.encoders.text.source
    )
    require(
        json.dumps(source.config, sort_keys=True) == json.dumps(content['model_cfg'], sort_keys=True),
        'another config than the file holds',
    )
    require(all(map(math.isfinite, (*source.mean, *source.std))), 'statistics that are not finite')
    stated = content.get('preprocess_cfg') or {}
    require('mean' not in stated or list(source.mean) == stated['mean'], 'another mean than the file states')
    found = read_weights(source.weights)
    for name, value in model.encoders.text.text.state_dict().items():
        require(same(value, found[name]), f'the text tower holds another {name}')
    answer = labels(model)
    require(not unchanged or np.array_equal(answer, expected), 'other labels than those of the sound folder')


def config(path: Path, expected: np.ndarray, given: Input) -> None:
    file = path / 'open_clip_config.json'
    content = altered(json.loads(file.read_text()), given.random)
    file.write_text(json.dumps(content))
    judge(loaded(path), path, expected, False)


def config_bytes(path: Path, expected: np.ndarray, given: Input) -> None:
    file = path / 'open_clip_config.json'
    before = file.read_bytes()
    file.write_bytes(damaged(before, given.random))
    model = loaded(path)
    judge(model, path, expected, json.loads(file.read_text()) == json.loads(before))


def merges(path: Path, expected: np.ndarray, given: Input) -> None:
    """A file of merges that is damaged or none."""
    file = path / 'merges.txt.gz'
    data = given.one_of(
        {
            'damaged': damaged(file.read_bytes(), given.random),
            'damaged text': gzip.compress(damaged(MERGES.encode(), given.random)),
            'plain text': MERGES.encode(),
            'empty': b'',
            'short': gzip.compress(b'#version\n'),
            'three a line': gzip.compress(b'#v\na b c\n'),
            'latin-1': gzip.compress(b'#v\n\xe9 a\n'),
            'bomb': BOMB,
        }
    )
    file.write_bytes(data)
    model = loaded(path)
    labels(model)  # the merges are read with the first words
    text = gzip.decompress(data).decode()
    require(len(text.splitlines()) > 1, 'no merges were accepted')
    judge(model, path, expected, text == MERGES)


def code(path: Path, expected: np.ndarray, given: Input) -> None:
    """Modules of a folder that leave a mark, and every place that asks to run them."""
    for name in ('evil', 'tokenization_evil', 'configuration_evil', '__init__', 'setup', 'sitecustomize'):
        (path / f'{name}.py').write_text(f'open({str(given.mark)!r}, "w").close()\nclass Evil: pass\n')
    content, own = json.loads((path / 'open_clip_config.json').read_text()), {'hf_tokenizer_name': str(path)}
    asked = given.pick(
        own,
        {**own, 'tokenizer_mode': 'clean'},
        {**own, 'hf_model_name': str(path), 'hf_proj_type': 'mlp'},
        *({**own, 'tokenizer_kwargs': settings} for settings in CODE_SETTINGS),
    )
    content['model_cfg']['text_cfg'].update(asked)
    (path / 'open_clip_config.json').write_text(json.dumps(content))
    (path / 'more').mkdir()
    for name in ('config.json', 'tokenizer_config.json', 'more/config.json', 'more/tokenizer_config.json'):
        if given.chance(0.7):
            kind = {'model_type': given.pick('clip', 'evil', 'bert'), 'tokenizer_class': 'Evil'}
            (path / name).write_text(
                json.dumps({**CODE, **kind, **given.pick({}, {'trust_remote_code': True})})
            )
    labels(loaded(path))


def arch_dict(path: Path, expected: np.ndarray, given: Input) -> None:
    """An arch dict from Python, one place of it odd."""
    arch = altered(photos.ARCH, given.random)
    if given.chance(0.1):
        odd = given.random.choice(ODD)
        arch = given.pick(odd, b'x', {'name': odd}, {'name': 'scenes', 'vision_cfg': {'layers': odd}})
    loaded(arch, str(path / 'open_clip_model.safetensors')).segment(photos.photo(20, 24), ['cat', 'dog'])


def files(path: Path, expected: np.ndarray, given: Input) -> None:
    """A folder in which a file is missing, empty, a folder, a link to nowhere, or has another name."""
    file = path / given.pick('open_clip_config.json', 'open_clip_model.safetensors', 'merges.txt.gz')
    away = file.rename(given.folder / 'away')
    given.one_of(
        {
            'missing': lambda: None,
            'sound': lambda: away.rename(file),
            'empty': file.touch,
            'folder': file.mkdir,
            'link to nowhere': lambda: file.symlink_to('/nowhere'),
            'link to itself': lambda: file.symlink_to(file.name),
            'link': lambda: file.symlink_to(away),
            'other name': lambda: away.rename(path / f'{file.name}.txt'),
            'nested JSON': lambda: file.write_text('{"model_cfg": ' + '[' * 100_000),
        }
    )()
    pretrained = given.pick(
        None, None, 'openai', '', 'random ', path / 'x.pt', f'local-dir:{path}', 'local-dir:/nowhere'
    )
    model = loaded(given.pick(str(path), path, f'local-dir:{path}', f'local-dir:{path}/'), pretrained)
    labels(model)
    judge(model, path, expected, True)
