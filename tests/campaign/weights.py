"""Files of weights: damaged, of other content, stand-ins, and such that carry code.

Oracle: what is accepted holds the tensors that went in, bit by bit, and the towers hold them too. Legacy `.pt` files
and `.safetensors` have no checksum of their own, so of damaged ones it is asked that the tensors are those that an
independent reading of the bytes finds, or, with `checksum` given, that they are refused.
"""

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import archives
import tiny
from campaign.inputs import Input, damaged, require
from mmseg_clipsurgery.clip.building import build_image_tower, build_text_tower
from mmseg_clipsurgery.clip.checkpoints import read_weights
from mmseg_clipsurgery.clip.logit_scale import own_logit_scale
from mmseg_clipsurgery.clip.sources import resolve

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

ARCH = tiny.SMALL
TYPES = {'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}


class Code:
    """What leaves a mark where it is unpickled."""

    def __init__(self, call: Any, *arguments: Any):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


class Setting(nn.Module):
    """A TorchScript module whose own code writes a file as it is loaded."""

    def __init__(self, mark: str):
        super().__init__()
        self.mark, self.weight, self.training = mark, nn.Parameter(torch.ones(2)), False

    @torch.jit.export
    def __getstate__(self):
        return self.mark, self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, Tensor, bool]):
        torch.save(state[1], state[0])
        self.mark, self.weight, self.training = state[0], state[1], state[2]

    def forward(self, x: Tensor) -> Tensor:
        return x


def prepare() -> dict[str, Tensor]:
    return tiny.tensors(ARCH)


def trial(tensors: dict[str, Tensor], given: Input) -> None:
    given.kind(damage, odd_tensors, odd_structure, stand_in, code)(tensors, given)


def damage(tensors: dict[str, Tensor], given: Input) -> None:
    make, suffix = given.one_of(FORMS)
    whole = make(tensors)
    data = damaged(whole, given.random) if given.chance(0.9) else whole
    path = written(given, suffix, data)
    checksum = hashlib.sha256(whole).hexdigest() if given.chance(0.2) else None
    found = read_weights(path, checksum)
    require(checksum is None or data == whole, 'a file with another checksum was accepted')
    if data == whole or zipfile.is_zipfile(io.BytesIO(data)):
        expected = {name: value.half() if make is archive else value for name, value in tensors.items()}
        require(all(same(found[name], one) for name, one in expected.items()), 'other tensors than went in')
    elif suffix == '.safetensors':
        require(found.keys() == stated(data).keys(), 'other names than the file states')
        require(
            all(same(found[name], one) for name, one in stated(data).items()), 'other tensors than stated'
        )
    built(path, found)


def odd_tensors(tensors: dict[str, Tensor], given: Input) -> None:
    """One tensor of another kind, or missing, or one too many."""
    name = given.random.choice(sorted(tensors))
    value = tensors[name].clone()
    odd = given.one_of(ODD_TENSORS)(value)
    changed = {**tensors, name: odd}
    if odd is None:
        del changed[name]
    if given.chance(0.1):
        changed[given.pick('extra', 'visual.extra', '', 'logit_scale', name.upper())] = value
    path = given.folder / 'w.pt'
    torch.save(changed, path)
    found = read_weights(path)
    own_logit_scale(path)
    built(path, found)
    weights = [one for one in found.values() if one.is_floating_point()]
    require(all(torch.isfinite(one).all() for one in weights), 'NaN or infinity was accepted')


def odd_structure(tensors: dict[str, Tensor], given: Input) -> None:
    content = given.one_of(STRUCTURES)(tensors)
    path = given.folder / ('w' + given.pick('.pt', '.pth', '.bin', '.safetensors', ''))
    torch.save(content, path)
    found = read_weights(path)
    built(path, found)
    require(all(same(found[name], value) for name, value in tensors.items()), 'other tensors than went in')


def stand_in(tensors: dict[str, Tensor], given: Input) -> None:
    """A file that holds something else."""
    data = given.one_of(STAND_INS)
    data += given.random.randbytes(given.random.randrange(3))
    path = written(given, given.pick('.pt', '.safetensors', '.bin', ''), data)
    built(path, read_weights(path))
    require(False, 'something else was accepted as weights')


def code(tensors: dict[str, Tensor], given: Input) -> None:
    """Pickles and archives that run something where they are read freely."""
    mark = str(given.mark)
    calls: list[Any] = [(os.system, f'touch {mark}'), (open, mark, 'w'), (Path.touch, given.mark)]
    calls += [(call, f'open({mark!r}, "w")') for call in (exec, eval)]
    calls += [(torch.save, torch.ones(1), mark), (np.save, mark, 1)]
    payload = Code(*given.random.choice(calls))
    content = given.pick(payload, {**tensors, 'x': payload}, {'state_dict': tensors, 'args': payload})
    path = given.folder / ('w' + given.pick('.pt', '.bin', '.safetensors', '.pth'))
    way = given.one_of({'pickle': 0, 'torch': 1, 'legacy torch': 2, 'archive': 3, 'hidden archive': 4})
    if way == 0:
        path.write_bytes(pickle.dumps(content, protocol=given.random.randrange(2, 5)))
    elif way < 3:
        torch.save(content, path, _use_new_zipfile_serialization=way == 1)
    else:
        torch.jit.script(Setting(mark)).save(path)
        if way == 4:  # the code in a file that looks like another one
            hide_code(path, given.pick('CODE', 'Code'))
        given.mark.unlink(missing_ok=True)
    built(path, read_weights(path))
    require(False, 'a file with code was accepted')


def hide_code(path: Path, folder: str) -> None:
    """Name the folder of an archive's code otherwise, and put an innocent file where it was."""
    with zipfile.ZipFile(path) as old:
        files = {name.replace('/code/', f'/{folder}/'): old.read(name) for name in old.namelist()}
    files['w/code/__torch__/innocent.py'] = b'# gelu(\n'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as new:
        for name, data in files.items():
            new.writestr(name, data)


def built(path: Path, found: dict[str, Tensor]) -> None:
    """Build both towers; they hold the file's tensors."""
    source = resolve(ARCH, str(path), quick_gelu=False)
    for tower, prefix in ((build_image_tower(source), 'visual.'), (build_text_tower(source), '')):
        for name, value in tower.state_dict().items():
            if prefix + name in found:
                require(same(value, found[prefix + name].to(value.dtype)), f'the tower holds another {name}')


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are one, bit by bit."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return torch.equal(*(tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other)))


def one_nan(value: Tensor) -> Tensor:
    value.flatten()[:1] = float('nan')
    return value


def stated(data: bytes) -> dict[str, Tensor]:
    """What a safetensors file says, read by hand."""
    size = int.from_bytes(data[:8], 'little')
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    header.pop('__metadata__', None)
    return {
        name: torch.frombuffer(
            bytearray(body[slice(*one['data_offsets'])]), dtype=TYPES[one['dtype']]
        ).reshape(one['shape'])
        for name, one in header.items()
    }


def written(given: Input, suffix: str, data: bytes) -> Path:
    path = given.folder / f'w{suffix}'
    path.write_bytes(data)
    return path


def saved(content: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def archive(tensors: dict[str, Tensor]) -> bytes:
    path = tiny.folder() / 'archive.pt'
    if not path.exists():
        archives.save_archive(tensors, path)
    return path.read_bytes()


FORMS = {
    'zip': (saved, '.pt'),
    'training checkpoint': (lambda tensors: saved({'state_dict': tensors, 'epoch': 3}), '.pth'),
    'legacy': (lambda tensors: saved(tensors, _use_new_zipfile_serialization=False), '.pt'),
    'safetensors': (save, '.safetensors'), 'archive': (archive, '.pt'),
}  # fmt: skip
ODD_TENSORS = {
    'missing': lambda value: None, 'nan': lambda value: value * float('nan'),
    'one nan': one_nan,
    'infinite': lambda value: value / 0, 'int8': lambda value: value.to(torch.int8),
    'bool': lambda value: value > 0, 'complex': lambda value: value.to(torch.complex64),
    'double': lambda value: value.double(), 'half': lambda value: value.half(),
    'float8': lambda value: value.to(torch.float8_e4m3fn), 'sparse': lambda value: value.to_sparse(),
    'meta': lambda value: value.to('meta'),
    'quantized': lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
    'transposed': lambda value: value.t() if value.ndim == 2 else value[None],
    'empty': lambda value: value.flatten()[:0], 'flat': lambda value: value.flatten(),
    'scalar': lambda value: value.flatten()[0], 'a number': lambda value: 3.0, 'text': lambda value: 'weights',
    'none': lambda value: [None], 'a list': lambda value: value.tolist(), 'an array': lambda value: value.numpy(),
    'a parameter': nn.Parameter,
}  # fmt: skip
STRUCTURES = {
    'plain': dict, 'state_dict': lambda tensors: {'state_dict': tensors, 'epoch': 1},
    'of DistributedDataParallel': lambda tensors: {f'module.{name}': value for name, value in tensors.items()},
    'a list': lambda tensors: list(tensors.values()), 'one tensor': lambda tensors: next(iter(tensors.values())),
    'nested': lambda tensors: {'model': {'state_dict': tensors}},
    'numbers for names': lambda tensors: dict(enumerate(tensors.values())), 'nothing': lambda tensors: {},
    'None': lambda tensors: None, 'a state_dict of None': lambda tensors: {'state_dict': None},
    'visual alone': lambda tensors: {name: value for name, value in tensors.items() if name.startswith('visual')},
    'other prefix': lambda tensors: {f'clip.{name}': value for name, value in tensors.items()},
}  # fmt: skip
STAND_INS = {
    'empty': b'', 'Git LFS': b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
    'web page': b'\n<!DOCTYPE html><html><body>Sign in</body></html>',
    'xml': b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'json': b'{"error": "not found"}',
    'text': b'Entry not found\n', 'gzip': b'\x1f\x8b\x08\x00' + bytes(40), 'empty zip': b'PK\x05\x06' + bytes(18),
    'png': b'\x89PNG\r\n\x1a\n' + bytes(30), 'zeros': bytes(4096), 'numpy': b'\x93NUMPY\x01\x00v\x00' + bytes(90),
    'hdf5': b'\x89HDF\r\n\x1a\n' + bytes(90), 'safetensors of nothing': (2).to_bytes(8, 'little') + b'{}',
    'huge header': (1 << 40).to_bytes(8, 'little') + b'{}',
}  # fmt: skip
