"""CLIP weights from a file: read without executing pickled code, split by tower, loaded strictly.

Formats, told apart by content: TorchScript archives (OpenAI's `.pt`), state dicts (`.pt`, `.pth`, `.bin`, also in what
training scripts put around them, see `containers`), `.safetensors`, and shards of either by their index. A file is a
whole CLIP; names are OpenAI's (text tower at the top level), open_clip's (`text.`) or Hugging Face's (see
`hugging_face`). Each tower takes its own names; the other tower's and a few scalars are
expected; every other missing or extra name is an error.
"""

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from ..environment.files import decoding
from .archives import code_of
from .containers import listed, one_clip, opened, without_prefixes
from .hugging_face import SHARDS_SUFFIX, is_hugging_face, shards, to_open_clip
from .other_models import IMAGE_ALONE, TEXT_ALONE, refuse_other_models

# Beside the towers a CLIP file may hold its temperature and, in OpenAI's archives, three sizes.
SCALARS = {'logit_scale', 'logit_bias', 'input_resolution', 'context_length', 'vocab_size'}
TEXT_NAMES = {
    'transformer',
    'token_embedding',
    'positional_embedding',
    'ln_final',
    'text_projection',
    'cls_emb',
    'attn_mask',
    'text',
    'text_decoder',
}
# Buffers that are no weights: BatchNorm's step counter, BERT's token positions. Some files lack them, some have more.
COUNTERS = ('num_batches_tracked', 'embeddings.position_ids')
WEIGHT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
NOT_DENSE = 'is sparse, nested, quantized or without values'
BEGINNINGS = (b'PK', *(b'\x80' + bytes([version]) for version in range(1, 6)))  # zip archives, pickles
STAND_INS = {  # how a file starts that stands where weights should: what it is
    b'version https://git-lfs': 'a Git LFS pointer: run git lfs pull, or fetch the file itself',
    b'<!doctype html': 'a web page: fetch the file itself',
    b'<html': 'a web page: fetch the file itself',
    b'<?xml': 'a web page: fetch the file itself',
}


def read_weights(path: str | Path, checksum: str | None = None) -> dict[str, Tensor]:
    """Read a CLIP file's tensors by open_clip's or OpenAI's names, on the CPU.

    Args:
        path, checksum: as for `read_tensors`.

    Raises:
        FileNotFoundError, ValueError: as `read_tensors`; the weights of another model.
    """
    tensors = one_clip(read_tensors(path, checksum), Path(path))
    refuse_other_models(tensors, Path(path))
    return to_open_clip(tensors, str(path)) if is_hugging_face(tensors) else tensors


def read_tensors(path: str | Path, checksum: str | None = None) -> dict[str, Tensor]:
    """Read any model's tensors by name, on the CPU, without the prefixes that training scripts put before all.

    Args:
        path: TorchScript archive, state dict, safetensors file, or the index of shards (`.index.json`).
        checksum: SHA-256 (hexadecimal, or its first digits, at least 8) the file must have.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the checksum differs, or the file is of no known format or holds pickled code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'weights file {path} does not exist')
    if checksum is not None:
        check_checksum(path, checksum)
    files = shards(path) if path.name.endswith(SHARDS_SUFFIX) else [path]
    tensors = {name: value for file in files for name, value in read_file(file).items()}
    for name, value in tensors.items():
        if not is_dense(value):
            raise ValueError(f'{path}: the tensor {name} {NOT_DENSE}; save the weights anew')
    return without_prefixes(tensors, path)


def read_file(path: Path) -> dict[str, Tensor]:
    """One file's tensors under the names that it gives them. Raises ValueError as `read_tensors`."""
    refuse_stand_in(path)
    if path.suffix == '.safetensors':
        return read_safetensors(path)
    if code_of(path):
        return read_archive(path)
    return read_state_dict(path)


def refuse_stand_in(path: Path) -> None:
    """Refuse a text file that downloads leave in place of weights. Raises ValueError that says what it is."""
    with open(path, 'rb') as file:
        start = file.read(256).lstrip().lower()
    for mark, what in STAND_INS.items():
        if start.startswith(mark):
            raise ValueError(f'{path} holds no weights, it is {what}')


def check_begins_as_weights(path: Path) -> None:
    """Refuse a file that begins as no file of tensors does: a zip archive, a pickle, safetensors, an index of shards.

    Raises:
        FileNotFoundError, ValueError: there is none, or it is another file.
    """
    if not path.is_file():
        raise FileNotFoundError(f'weights file {path} does not exist')
    refuse_stand_in(path)
    with open(path, 'rb') as file:
        start = file.read(9)
    if start[:2] not in BEGINNINGS and start[8:] != b'{' and not path.name.endswith(SHARDS_SUFFIX):
        raise ValueError(f'{path} holds no weights; give a file such as .safetensors, .pt, .pth or .bin')


def shown_activation(path: Path) -> bool | None:
    """Whether a TorchScript archive's code uses QuickGELU, x * sigmoid(1.702 x), or GELU.

    Of QuickGELU the sigmoid is looked for: a traced archive keeps the 1.702 among its tensors. None where the code has
    neither or both, and for files without code, which cannot tell.
    """
    if not (code := code_of(path)):
        return None
    quick, plain = b'sigmoid(' in code, b'gelu(' in code
    return quick if quick != plain else None


def check_checksum(path: Path, checksum: str) -> None:
    if not isinstance(checksum, str):
        raise ValueError(f'checksum must be the hexadecimal SHA-256 of {path}, got {checksum!r}')
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 24):
            digest.update(chunk)
    found = digest.hexdigest()
    if len(checksum) < 8 or not found.startswith(checksum.lower()):
        raise ValueError(
            f'{path} has SHA-256 {found}, expected {checksum}: fetch the file again or correct checksum'
        )


def read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    with decoding(path, 'safetensors file'):
        return load_file(path, device='cpu')


def write_safetensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors by name, with strings beside them; nothing in the file is pickled.

    Raises:
        RuntimeError: they can't be written, as of torch's own writer.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata)
    except SafetensorError as error:
        raise RuntimeError(str(error)) from error


def read_archive(path: Path) -> dict[str, Tensor]:
    """A TorchScript archive's parameters and buffers; torch's own reader knows no Python objects.

    Of an archive's code that reader runs `__setstate__` alone, which may write files: no CLIP has it.

    Raises:
        ValueError: the archive is damaged, or has such code.
    """
    if b'__setstate__' in code_of(path):
        raise ValueError(
            f'{path} runs code while it is loaded (__setstate__), which is never executed here; save its state dict'
        )
    with decoding(path, 'TorchScript archive'):
        return dict(torch.jit.load(path, map_location='cpu').state_dict())


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """A pickled state dict, through torch's restricted unpickler only."""
    with decoding(
        path,
        'file of tensors',
        'it is damaged or holds pickled code, which is never executed here; save it anew',
    ):
        content = torch.load(path, map_location='cpu', weights_only=True)
    return opened(content, path)


def split_towers(tensors: dict[str, Tensor], source: str) -> dict[str, dict[str, Tensor]]:
    """Sort a file's tensors into `visual` and `text`, named as within the tower.

    Raises:
        ValueError: a name belongs to neither tower.
    """
    unknown = [
        name for name in tensors if name not in SCALARS and name.split('.')[0] not in TEXT_NAMES | {'visual'}
    ]
    if unknown:
        raise ValueError(f'{source} has names that belong to no CLIP tower: {listed(unknown)}')
    visual = {
        name.removeprefix('visual.'): value for name, value in tensors.items() if name.startswith('visual.')
    }
    text = {
        name.removeprefix('text.'): value
        for name, value in tensors.items()
        if not name.startswith(('visual.', 'text_decoder.')) and name not in SCALARS | {'attn_mask'}
    }
    return {'visual': visual, 'text': text}


def load_tower(tower: nn.Module, tensors: dict[str, Tensor], which: str, source: str) -> None:
    """Copy one tower's tensors from a whole CLIP file's into a module, strictly.

    Args:
        tower: the module; its dtype stays.
        tensors: all of the file's tensors.
        which: 'visual' or 'text'.
        source: the file's name, for messages.

    Raises:
        ValueError: a name is missing or unexpected, a shape differs, or a tensor is of no floating type or not finite.
    """
    found = split_towers(tensors, source)[which]
    if not found and tensors:
        raise ValueError(f'{source} {IMAGE_ALONE if which == "text" else TEXT_ALONE}')
    wanted = tower.state_dict()
    missing = [name for name in wanted if name not in found and not name.endswith(COUNTERS)]
    unexpected = [name for name in found if name not in wanted and not name.endswith(COUNTERS)]
    if missing or unexpected:
        raise ValueError(
            f'{source} does not fit the {which} tower: missing {listed(missing)}; unexpected '
            f'{listed(unexpected)}. Check that arch names the model these weights belong to'
        )
    found = {name: value for name, value in found.items() if name in wanted}
    for name, value in found.items():
        if value.shape != wanted[name].shape:
            raise ValueError(
                f'{source}: {which} tensor {name} has shape {tuple(value.shape)}, arch asks for '
                f'{tuple(wanted[name].shape)}; check that arch and weights belong together'
            )
        if wanted[name].is_floating_point() and (trouble := no_weight(value)):
            raise ValueError(
                f'{source}: {which} tensor {name} {trouble}; fetch the file again, in floating point'
            )
    tower.load_state_dict(found, strict=False)


def no_weight(value: Tensor) -> str | None:
    """What makes a tensor no weight, for a message; None where it is one: dense, of a floating type, finite in fp32."""
    if value.dtype not in WEIGHT_TYPES:
        return f'is of type {value.dtype}, which is no weight (quantised ones are not read)'
    if not is_dense(value):
        return NOT_DENSE
    return None if torch.isfinite(value.float()).all() else 'holds NaN or infinite values'


def is_dense(value: Tensor) -> bool:
    """Whether a tensor has all its values side by side, so that they can be compared, joined and copied."""
    return value.layout is torch.strided and not (value.is_meta or value.is_nested or value.is_quantized)
