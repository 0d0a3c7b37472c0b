"""Weight files: every format gives the same tower, nothing pickled runs, and what does not fit is named."""

import contextlib
import hashlib
import os
import pickle
import zipfile
from pathlib import Path
from random import Random

import golden
import tiny
from archives import save_archive
from mmseg_clipsurgery.clip import checkpoints as weights
from mmseg_clipsurgery.clip.building import build_image_tower, build_text_tower
from mmseg_clipsurgery.clip.sources import resolve
from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

ARCH = tiny.SMALL


def as_custom_text(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of open_clip's CustomTextCLIP: the text tower below `text.`."""
    top = ('visual.', 'logit_scale')
    return {name if name.startswith(top) else f'text.{name}': value for name, value in tensors.items()}


def save_safetensors(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)


WRITERS = {
    'state dict .pt': ('clip.pt', torch.save),
    'state dict .pth': ('clip.pth', torch.save),
    'state dict .bin': ('clip.bin', torch.save),
    'legacy pickle': ('clip.pt', lambda t, path: torch.save(t, path, _use_new_zipfile_serialization=False)),
    'training checkpoint': (
        'epoch_3.pt',
        lambda t, path: torch.save(
            {
                'epoch': 3,
                'name': 'run',
                'state_dict': {f'module.{name}': value for name, value in t.items()},
                'optimizer': {'state': {}, 'param_groups': [{'lr': 1e-3}]},
            },
            path,
        ),
    ),
    'module. alone': (
        'clip.pt',
        lambda t, path: torch.save({f'module.{key}': value for key, value in t.items()}, path),
    ),
    'safetensors': ('clip.safetensors', save_safetensors),
    'CustomTextCLIP names': ('clip.pt', lambda t, path: torch.save(as_custom_text(t), path)),
    'CustomTextCLIP safetensors': (
        'clip.safetensors',
        lambda t, path: save_safetensors(as_custom_text(t), path),
    ),
    'bias and mask too': (
        'clip.pt',
        lambda t, path: torch.save(
            t | {'logit_bias': torch.zeros(()), 'attn_mask': torch.zeros(12, 12)}, path
        ),
    ),
}


def assert_towers_hold(path: Path, tensors: dict[str, Tensor], tolerance: float = 0, arch=ARCH) -> None:
    """Both towers, loaded from a file, hold the tensors."""
    source = resolve(arch, path)
    image, text = build_image_tower(source), build_text_tower(source)
    found = {f'visual.{name}': value for name, value in image.state_dict().items()} | text.state_dict()
    assert found.keys() == tensors.keys() - {'logit_scale'}
    for name, value in found.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, tensors[name], atol=tolerance, rtol=tolerance, msg=name)


@pytest.mark.parametrize(('name', 'write'), WRITERS.values(), ids=WRITERS.keys())
def test_every_format_holds_the_same_towers(name, write, tmp_path):
    tensors = tiny.tensors(ARCH)
    write(tensors, tmp_path / name)
    assert_towers_hold(tmp_path / name, tensors)


@pytest.mark.parametrize('scripted', [False, True], ids=['traced', 'scripted'])
@pytest.mark.parametrize('quick_gelu', [True, False])
def test_a_torchscript_archive(quick_gelu, scripted, tmp_path):
    tensors, arch = tiny.tensors(ARCH), {key: value for key, value in ARCH.items() if key != 'quick_gelu'}
    path = save_archive(tensors, tmp_path / 'ViT.pt', quick_gelu, scripted)
    assert weights.shown_activation(path) is quick_gelu
    source = resolve(arch, path)
    assert source.quick_gelu is quick_gelu
    names = {type(module).__name__ for module in build_image_tower(source).modules()}
    assert ('QuickGELU' in names) is quick_gelu
    assert_towers_hold(path, tensors, tolerance=1e-3, arch=arch)


@pytest.mark.slow
def test_the_golden_archive_gives_the_golden_features(tmp_path):
    """End to end through an archive in half precision."""
    tensors = tiny.tensors(tiny.VIT, golden.SEEDS['vit_dev'])
    arch = {key: value for key, value in tiny.VIT.items() if key != 'quick_gelu'}
    path = save_archive(tensors, tmp_path / 'ViT.pt', quick_gelu=True)
    with torch.no_grad():
        found = CLIPSurgeryViT(arch, path)(tiny.images(2, 3, 64, 64, seed=11))
    reference = golden.load('cs_vit_dev_64x64')['features']
    golden.assert_close(found.cls_token, reference[:, 0], 0.01)


def test_code_without_activation_shows_none(tmp_path):
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / 'linear.pt')
    assert weights.shown_activation(tmp_path / 'linear.pt') is None


def test_plain_files_show_no_activation(tmp_path):
    torch.save({'scale 1.702': torch.ones(1)}, tmp_path / 'plain.pt')
    save_safetensors({'a': torch.ones(1)}, tmp_path / 'plain.safetensors')
    assert weights.shown_activation(tmp_path / 'plain.pt') is None
    assert weights.shown_activation(tmp_path / 'plain.safetensors') is None


class Malicious:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def zip_with_code(content: Malicious, path: Path) -> None:
    """Looks like a TorchScript archive, holds a Python pickle."""
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('clip/code/__torch__.py', 'class Module: pass')
        archive.writestr('clip/data.pkl', pickle.dumps(content, protocol=2))
        archive.writestr('clip/constants.pkl', pickle.dumps(content, protocol=2))
        archive.writestr('clip/version', '3\n')


MALICIOUS = {
    'in a zip': ('clip.pt', lambda content, path: torch.save({'a': content}, path)),
    'legacy': (
        'clip.pt',
        lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    ),
    'a bare pickle': ('clip.bin', lambda content, path: path.write_bytes(pickle.dumps(content))),
    'named safetensors': (
        'clip.safetensors',
        lambda content, path: path.write_bytes(pickle.dumps(content)),
    ),
    'among code': ('clip.pt', zip_with_code),
}


@pytest.mark.parametrize(('name', 'write'), MALICIOUS.values(), ids=MALICIOUS.keys())
def test_pickled_code_is_not_executed(name, write, tmp_path):
    mark = tmp_path / 'executed'
    write(Malicious(mark), tmp_path / name)
    with pytest.raises(ValueError, match=f'{name}.*(never executed|fetch it again)'):
        weights.read_weights(tmp_path / name)
    assert not mark.exists()
    if name != 'clip.safetensors' and write is not zip_with_code:  # the test's own premise: it would have run
        with contextlib.suppress(RuntimeError):
            torch.load(tmp_path / name, weights_only=False)
        assert mark.exists()


def test_checksum(tmp_path):
    path = tiny.weights_file(ARCH)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for right in (digest, digest.upper(), digest[:8]):
        assert weights.read_weights(path, right)
    for wrong in ('0' * 64, digest[:7], ''):
        with pytest.raises(ValueError, match=f'SHA-256 {digest}, expected {wrong}.*fetch the file again'):
            weights.read_weights(path, wrong)
    with pytest.raises(ValueError, match='SHA-256'):
        CLIPSurgeryViT(ARCH, path, 'clip', checksum='0' * 64)
    with pytest.raises(ValueError, match=r'checksum must be the hexadecimal SHA-256 of .*, got 3'):
        CLIPSurgeryViT(ARCH, path, 'clip', checksum=3)


def altered(**changes: Tensor | None) -> dict[str, Tensor]:
    """The small CLIP's tensors with some replaced, added or (None) left out; `__` stands for a dot."""
    tensors = tiny.tensors(ARCH)
    for name, value in changes.items():
        name = name.replace('__', '.')
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    return tensors


NAN = torch.full((16,), torch.nan)
BAD_TENSORS = {
    'missing': (altered(visual__proj=None), 'missing proj; unexpected nothing'),
    'unexpected': (altered(visual__head=torch.ones(1)), 'missing nothing; unexpected head'),
    'unknown': (altered(backbone__conv=torch.ones(1)), 'belong to no CLIP tower: backbone.conv'),
    'misshapen': (
        altered(visual__proj=torch.ones(12, 16)),
        r'visual tensor proj has shape \(12, 16\), arch asks for \(16, 12\)',
    ),
    'NaN': (altered(visual__class_embedding=NAN), 'visual tensor class_embedding holds NaN or infinite'),
    'infinite': (altered(visual__ln_post__bias=NAN.fill_(torch.inf)), 'ln_post.bias holds NaN or infinite'),
    'of a ResNet': (tiny.tensors(tiny.RESNET), 'missing class_embedding.* and .* more; unexpected .*bn1'),
    'of a wider ViT': (
        tiny.tensors(tiny.changed(ARCH, vision_cfg={'width': 24})),
        r'has shape \(24.*arch asks for \(16',
    ),
    'of a deeper ViT': (
        tiny.tensors(tiny.changed(ARCH, vision_cfg={'layers': 4})),
        'missing nothing; unexpected transformer.resblocks.3',
    ),
    'trained at another size': (
        tiny.tensors(tiny.changed(ARCH, vision_cfg={'image_size': 16})),
        r'positional_embedding has shape \(17, 16\), arch asks for \(10, 16\)',
    ),
    'the text tower alone': (
        {name: value for name, value in tiny.tensors(ARCH).items() if not name.startswith('visual.')},
        'holds a text tower alone; give the file of the whole CLIP, photos need its image tower',
    ),
    'quantised': (
        altered(visual__proj=torch.ones(16, 12, dtype=torch.int8)),
        r'proj is of type torch.int8, which is no weight \(quantised ones are not read\); fetch .* floating point',
    ),
    'quantised, with its scales': (
        altered(visual__proj__SCB=torch.ones(2)),
        'is a quantised model; give its',
    ),
    "in its authors' form": (altered(visual__blocks__0=torch.ones(1)), "is a CLIP in its authors' own form"),
    'learned prompts': ({'prompt_learner.ctx': torch.ones(4, 16)}, 'is a CLIP with learned prompts'),
    'nothing': ({}, r'holds no state dict \(names with tensors\)'),
}


@pytest.mark.parametrize(('tensors', 'message'), BAD_TENSORS.values(), ids=BAD_TENSORS.keys())
def test_what_does_not_fit_is_named(tensors, message, tmp_path):
    torch.save(tensors, tmp_path / 'clip.pt')
    with pytest.raises(ValueError, match=message):
        CLIPSurgeryViT(ARCH, tmp_path / 'clip.pt', 'clip')


@pytest.mark.parametrize(
    ('tensors', 'message'),
    [
        (altered(text_projection=None), 'does not fit the text tower: missing text_projection'),
        (altered(text__head=torch.ones(1)), 'unexpected head'),
        (altered(ln_final__bias=NAN), 'text tensor ln_final.bias holds NaN'),
        (
            {name: value for name, value in tiny.tensors(ARCH).items() if name.startswith('visual.')},
            'holds an image tower alone; give the file of the whole CLIP, words need its text tower',
        ),
    ],
    ids=['missing', 'unexpected', 'NaN', 'not there'],
)
def test_a_towers_trouble_is_its_own(tensors, message, tmp_path):
    torch.save(tensors, tmp_path / 'clip.pt')
    source = resolve(ARCH, tmp_path / 'clip.pt')
    build_image_tower(source)
    with pytest.raises(ValueError, match=message):
        build_text_tower(source)


def test_counters_are_no_weights(tmp_path):
    tensors = tiny.tensors(tiny.RESNET)
    counters = {name for name in tensors if name.endswith('num_batches_tracked')}
    assert counters
    torch.save({name: tensors[name] for name in tensors.keys() - counters}, tmp_path / 'RN.pt')
    build_image_tower(resolve(tiny.RESNET, tmp_path / 'RN.pt'))


def write_truncated(path: Path) -> None:
    path.write_bytes(tiny.weights_file(ARCH, suffix='.pt').read_bytes()[:-5000])


BAD_FILES = {
    'damaged zip': ('clip.pt', write_truncated, 'not a readable archive'),
    'text': (
        'clip.pt',
        lambda path: path.write_text('version https://git-lfs'),
        'it is a Git LFS pointer: run git lfs pull',
    ),
    'web page': ('clip.bin', lambda path: path.write_text('\n <!DOCTYPE html>\n<html>'), 'it is a web page'),
    'empty': ('clip.pth', lambda path: path.write_bytes(b''), 'not a readable file of tensors'),
    'damaged safetensors': (
        'clip.safetensors',
        lambda path: path.write_bytes(b'\x08' + bytes(20)),
        'not a readable safetensors file',
    ),
    'a list': ('clip.pt', lambda path: torch.save([torch.ones(1)], path), 'holds no state dict'),
    'a tensor': ('clip.pt', lambda path: torch.save(torch.ones(1), path), 'holds no state dict'),
    'names that are numbers': ('clip.pt', lambda path: torch.save({3: torch.ones(1)}, path), 'no state dict'),
    'numbers': ('clip.pt', lambda path: torch.save({'epoch': 3}, path), 'holds no state dict'),
}


@pytest.mark.parametrize(('name', 'write', 'message'), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_other_files_are_refused(name, write, message, tmp_path):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        weights.read_weights(tmp_path / name)


def test_a_missing_file():
    with pytest.raises(FileNotFoundError, match=r'no/such.pt does not exist'):
        weights.read_weights('no/such.pt')


# The parameters of one block, of what stands around the blocks, and of a text tower, as the main branch of open_clip
# (towards 4.x: its own attention module in place of torch's) names them.
MAIN_BLOCK = (
    'ln_1.weight ln_1.bias attn.in_proj_weight attn.in_proj_bias attn.out_proj.weight attn.out_proj.bias '
    'ln_2.weight ln_2.bias mlp.c_fc.weight mlp.c_fc.bias mlp.c_proj.weight mlp.c_proj.bias'
)
MAIN_VISUAL = (
    'class_embedding positional_embedding conv1.weight proj '
    'ln_pre.weight ln_pre.bias ln_post.weight ln_post.bias'
)
MAIN_TEXT = 'token_embedding.weight positional_embedding ln_final.weight ln_final.bias text_projection'


@pytest.mark.parametrize('prefix', ['', 'text.'], ids=['CLIP', 'CustomTextCLIP'])
def test_names_of_open_clips_main_branch(prefix, tmp_path):
    names = [f'visual.{name}' for name in MAIN_VISUAL.split()]
    names += [f'visual.transformer.resblocks.{i}.{name}' for i in range(3) for name in MAIN_BLOCK.split()]
    names += [f'{prefix}{name}' for name in MAIN_TEXT.split()]
    names += [f'{prefix}transformer.resblocks.{i}.{name}' for i in range(2) for name in MAIN_BLOCK.split()]
    ours = tiny.tensors(ARCH)
    torch.save(
        {name: ours[name.removeprefix(prefix)] for name in names} | {'logit_scale': ours['logit_scale']},
        tmp_path / 'main.pt',
    )
    assert_towers_hold(tmp_path / 'main.pt', ours)


NO_WEIGHTS = {
    'integers': torch.ones(16, dtype=torch.int64),
    'bytes': torch.ones(16, dtype=torch.uint8),
    'booleans': torch.ones(16, dtype=torch.bool),
    'complex': torch.ones(16, dtype=torch.complex64),
    'sparse': torch.ones(16).to_sparse(),
    'meta': torch.ones(16, device='meta'),
}


@pytest.mark.parametrize('value', NO_WEIGHTS.values(), ids=NO_WEIGHTS.keys())
def test_tensors_that_are_no_weights_are_refused(value):
    tower = CLIPSurgeryViT(ARCH, surgery='clip').visual
    tensors = altered(visual__class_embedding=value)
    with pytest.raises(ValueError, match=r'clip\.pt: visual tensor class_embedding (is of type|is sparse)'):
        weights.load_tower(tower, tensors, 'visual', 'clip.pt')


def test_no_message_advises_to_switch_the_safe_loader_off(tmp_path):
    torch.save({'a': Malicious(tmp_path / 'executed')}, tmp_path / 'clip.pt')
    with pytest.raises(ValueError, match='mkdir') as caught:
        weights.read_weights(tmp_path / 'clip.pt')
    assert not any(word in str(caught.value) for word in ('weights_only', 'add_safe_globals', 'trust'))


def mutated(content: bytes, random: Random) -> bytes:
    """Bytes with some changed, cut off, or a piece written over another."""
    content = bytearray(content)
    kind = random.randrange(3)
    if kind == 0:
        for _ in range(random.choice([1, 8, 64])):
            content[random.randrange(len(content))] = random.randrange(256)
    elif kind == 1:
        del content[random.randrange(len(content)) :]
    else:
        start, end, length = random.randrange(len(content)), random.randrange(len(content)), 200
        content[start : start + length] = content[end : end + length]
    return bytes(content)


FORMATS = {
    'zip': lambda path: torch.save(tiny.tensors(ARCH), path),
    'pickle': lambda path: torch.save(tiny.tensors(ARCH), path, _use_new_zipfile_serialization=False),
    'archive': lambda path: save_archive(tiny.tensors(ARCH), path, quick_gelu=False),
    'safetensors': lambda path: save_safetensors(tiny.tensors(ARCH), path),
}


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('write', FORMATS.values(), ids=FORMATS.keys())
def test_damaged_files_end_in_a_sentence(write, tmp_path):
    """The heads and tails of files, where their structure is, get more than their share."""
    path = tmp_path / ('clip.safetensors' if write is FORMATS['safetensors'] else 'clip.pt')
    write(path)
    content, random = path.read_bytes(), Random(0)
    for number in range(30):
        part = [slice(0, 600), slice(len(content) - 600, None), slice(None)][number % 3]
        changed = content[: part.start or 0] + mutated(content[part], random)
        path.write_bytes(changed + (content[600:] if number % 3 == 0 else b''))
        if sentence := complaint(path):
            assert str(path) in sentence
            assert '\n' not in sentence


def complaint(path: Path) -> str | None:
    """What reading a file says against it."""
    try:
        weights.shown_activation(path)
        assert weights.read_weights(path)
    except ValueError as error:
        return str(error)
    return None


class RunsWhenLoaded(nn.Module):
    """Its TorchScript code is executed by `torch.jit.load`, and writes a file."""

    def __init__(self, path: str):
        super().__init__()
        self.register_buffer('weight', torch.ones(2))
        self.path, self.training = path, False

    def forward(self, x):
        return x * self.weight

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
        torch.save(state[0], state[1])
        self.weight, self.path, self.training = state[0], state[1], state[2]


def test_an_archive_that_runs_code_when_it_is_loaded_is_refused(tmp_path):
    torch.jit.script(RunsWhenLoaded(str(tmp_path / 'written'))).save(tmp_path / 'evil.pt')
    with pytest.raises(ValueError, match=r'evil\.pt runs code while it is loaded \(__setstate__\)'):
        weights.read_weights(tmp_path / 'evil.pt')
    assert not (tmp_path / 'written').exists()
    torch.jit.load(tmp_path / 'evil.pt')
    assert (tmp_path / 'written').exists(), 'the archive of this test does run code'


def test_code_is_found_whatever_the_case_of_its_name(tmp_path):
    written, evil = tmp_path / 'written', tmp_path / 'evil.pt'
    torch.jit.script(RunsWhenLoaded(str(written))).save(tmp_path / 'plain.pt')
    with zipfile.ZipFile(tmp_path / 'plain.pt') as plain, zipfile.ZipFile(evil, 'w') as other:
        for name in plain.namelist():
            other.writestr(name.replace('/code/', '/CODE/'), plain.read(name))
        other.writestr('plain/code/innocent.py', b'')
    with pytest.raises(ValueError, match=r'evil\.pt runs code while it is loaded'):
        weights.read_weights(evil)
    assert not written.exists()
    torch.jit.load(evil)
    assert written.exists(), 'the archive of this test does run code'
