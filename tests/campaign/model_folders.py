"""Folders in open_clip's local-dir form: configs, statistics, tokenizers and merges that are damaged, odd, or name code.

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
ARCH = {
    **photos.ARCH,
    'text_cfg': {
        **photos.ARCH['text_cfg'],
        'vocab_size': 520,
        'tokenizer_kwargs': {'bpe_path': 'merges.txt.gz'},
    },
}


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
    kind = given.one_of(
        {
            'config': config,
            'bytes': config_bytes,
            'merges': merges,
            'code': code,
            'dict': arch_dict,
            'files': files,
        }
    )
    kind(path, sound[1], given)


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
    file, data = path / 'merges.txt.gz', (path / 'merges.txt.gz').read_bytes()
    how = given.one_of(
        {
            'damaged': lambda: damaged(data, given.random),
            'plain text': lambda: MERGES.encode(),
            'empty': lambda: b'',
            'short': lambda: gzip.compress(b'#version\n'),
            'damaged text': lambda: gzip.compress(damaged(MERGES.encode(), given.random)),
            'three a line': lambda: gzip.compress(b'#v\na b c\n'),
            'latin-1': lambda: gzip.compress(b'#v\n\xe9 a\n'),
            'bomb': lambda: gzip.compress(b'#version: 0.2\n' + b'a b\n' * 3_000_000, 1),
        }
    )()
    file.write_bytes(how)
    model = loaded(path)
    labels(model)  # the merges are read with the first words
    try:
        text = gzip.decompress(how).decode()
    except Exception:
        text = None
    require(text is not None, 'merges that gzip refuses were accepted')
    judge(model, path, expected, text == MERGES)


def code(path: Path, expected: np.ndarray, given: Input) -> None:
    """Modules of a folder that leave a mark, and every place that asks to run them."""
    module = f'open({str(given.mark)!r}, "w").close()\nclass Evil:\n    from_pretrained = classmethod(lambda *a, **k: None)\n'
    for name in (
        'evil.py',
        'tokenization_evil.py',
        'configuration_evil.py',
        'modeling_evil.py',
        '__init__.py',
        'setup.py',
        'sitecustomize.py',
    ):
        (path / name).write_text(module)
    content = json.loads((path / 'open_clip_config.json').read_text())
    text, names = (
        content['model_cfg']['text_cfg'],
        {
            'auto_map': {
                'AutoTokenizer': ['evil.Evil', 'evil.Evil'],
                'AutoConfig': 'evil.Evil',
                'AutoModel': 'evil.Evil',
            }
        },
    )
    asked = given.one_of({
        'tokenizer': {'hf_tokenizer_name': str(path), 'tokenizer_kwargs': {'trust_remote_code': True}}, 'no question': {'hf_tokenizer_name': str(path)},
        'text model': {'hf_model_name': str(path), 'hf_tokenizer_name': str(path), 'hf_proj_type': 'mlp'}, 'kwargs': {'hf_tokenizer_name': str(path), 'tokenizer_kwargs': {'config': names}},
        'revision': {'hf_tokenizer_name': str(path), 'tokenizer_kwargs': {'code_revision': 'main'}}, 'type': {'hf_tokenizer_name': str(path), 'tokenizer_kwargs': {'tokenizer_type': 'evil'}},
        'mode': {'hf_tokenizer_name': str(path), 'tokenizer_mode': 'clean'}, 'subfolder': {'hf_tokenizer_name': str(path), 'tokenizer_kwargs': {'subfolder': 'more'}},
    })  # fmt: skip
    text.update(asked)
    for name in ('config.json', 'tokenizer_config.json', 'more/config.json', 'more/tokenizer_config.json'):
        if given.chance(0.7):
            (path / name).parent.mkdir(exist_ok=True)
            extra = {'trust_remote_code': True} if given.chance(0.3) else {}
            (path / name).write_text(
                json.dumps(
                    {
                        **names,
                        **extra,
                        'model_type': given.random.choice(['clip', 'evil', 'bert']),
                        'tokenizer_class': 'Evil',
                    }
                )
            )
    (path / 'open_clip_config.json').write_text(json.dumps(content))
    labels(loaded(path))


def arch_dict(path: Path, expected: np.ndarray, given: Input) -> None:
    """An arch dict from Python, one place of it odd."""
    arch = altered(photos.ARCH, given.random)
    if given.chance(0.1):
        arch = given.random.choice(
            [
                *ODD,
                {'name': given.random.choice(ODD)},
                b'x',
                {'name': 'scenes', 'vision_cfg': {'layers': given.random.choice(ODD)}},
            ]
        )
    loaded(arch, str(path / 'open_clip_model.safetensors')).segment(photos.photo(20, 24), ['cat', 'dog'])


def files(path: Path, expected: np.ndarray, given: Input) -> None:
    """A folder in which a file is missing, empty, a folder, a link to nowhere, or named by another way."""
    name = given.random.choice(['open_clip_config.json', 'open_clip_model.safetensors', 'merges.txt.gz'])
    file, way = (
        path / name,
        given.one_of(
            {
                name: name
                for name in (
                    'missing',
                    'empty',
                    'folder',
                    'link',
                    'loop',
                    'sound',
                    'renamed',
                    'nested',
                    'outside',
                )
            }
        ),
    )
    data = file.read_bytes()
    if way in ('missing', 'empty', 'folder', 'link', 'loop', 'renamed'):
        file.unlink()
    made = {
        'empty': lambda: file.touch(),
        'folder': file.mkdir,
        'link': lambda: file.symlink_to('/nowhere'),
        'loop': lambda: file.symlink_to(name),
        'renamed': lambda: (path / f'{name}.txt').write_bytes(data),
    }
    made.get(way, lambda: None)()
    if way == 'nested':
        (path / 'open_clip_config.json').write_text('{"model_cfg": ' + '[' * 100_000)
    where = given.random.choice([str(path), path, f'local-dir:{path}', f'local-dir:{path}/'])
    model = loaded(
        where,
        given.random.choice(
            [
                None,
                None,
                'openai',
                '',
                'random ',
                str(path / 'x.pt'),
                f'local-dir:{path}',
                'local-dir:/nowhere',
            ]
        ),
    )
    judge(model, path, expected, True)
