"""The disk cache of text embeddings: what a key depends on, and that nothing unsound is ever read."""

import logging
import multiprocessing
import os
from pathlib import Path

import tiny
from mmseg_clipsurgery.clip.text_cache import LIMIT_VARIABLE, TextCache, as_bytes

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

KEY = '0123abcd'
EMBEDDINGS = torch.linspace(-1, 1, 12).reshape(3, 4)


@pytest.fixture
def cache(tmp_path) -> TextCache:
    return TextCache(tmp_path / 'deep' / 'text')


def test_what_was_written_is_read(cache):
    assert cache.read(KEY, (3, 4)) is None
    cache.write(KEY, EMBEDDINGS)
    assert torch.equal(cache.read(KEY, (3, 4)), EMBEDDINGS)
    cache.write(KEY, 2 * EMBEDDINGS)
    assert torch.equal(cache.read(KEY, (3, 4)), 2 * EMBEDDINGS)
    assert cache.read('another', (3, 4)) is None
    assert [path.name for path in cache.folder.iterdir()] == [f'{KEY}.safetensors']


def test_half_precision_is_kept_in_single(cache):
    cache.write(KEY, EMBEDDINGS.half())
    assert cache.read(KEY, (3, 4)).dtype == torch.float32


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def forge(tensors: dict[str, Tensor], stated: bool = True):
    """Another content under the same name, with the digest that it states right or absent."""

    def write(path: Path) -> None:
        import hashlib

        (value,) = tensors.values()
        digest = {'key': KEY, 'sha256': hashlib.sha256(as_bytes(value)).hexdigest()} if stated else None
        save_file(tensors, path, digest)

    return write


DAMAGE = {
    'truncated': (truncate, 'not readable'),
    'a flipped bit': (flip_a_bit, 'damaged'),
    'empty': (lambda path: path.write_bytes(b''), 'not readable'),
    'text': (lambda path: path.write_text('not numbers at all'), 'not readable'),
    'another shape': (forge({'embeddings': torch.ones(3, 5)}), 'damaged'),
    'another type': (forge({'embeddings': torch.ones(3, 4, dtype=torch.float64)}), 'damaged'),
    'NaN': (forge({'embeddings': torch.full((3, 4), torch.nan)}), 'damaged'),
    'another name': (forge({'features': torch.ones(3, 4)}), 'not readable'),
    'no digest': (forge({'embeddings': torch.ones(3, 4)}, stated=False), 'damaged'),
}


@pytest.mark.parametrize(('damage', 'message'), DAMAGE.values(), ids=DAMAGE.keys())
def test_an_unsound_file_is_not_read(cache, caplog, damage, message):
    cache.write(KEY, EMBEDDINGS)
    damage(cache.folder / f'{KEY}.safetensors')
    with caplog.at_level(logging.WARNING):
        assert cache.read(KEY, (3, 4)) is None
    assert f'{KEY}.safetensors is {message}' in caplog.text
    cache.write(KEY, EMBEDDINGS)
    assert torch.equal(cache.read(KEY, (3, 4)), EMBEDDINGS)


def test_the_file_of_another_key_is_not_read(cache, caplog):
    cache.write('another', EMBEDDINGS)
    (cache.folder / 'another.safetensors').rename(cache.folder / f'{KEY}.safetensors')
    assert cache.read(KEY, (3, 4)) is None
    assert f'{KEY}.safetensors is damaged' in caplog.text


def test_a_file_that_another_user_may_have_written_is_not_read(cache, caplog):
    cache.write(KEY, EMBEDDINGS)
    (cache.folder / f'{KEY}.safetensors').chmod(0o666)
    assert cache.read(KEY, (3, 4)) is None
    assert 'another user may have written' in caplog.text
    cache.write(KEY, EMBEDDINGS)
    assert torch.equal(cache.read(KEY, (3, 4)), EMBEDDINGS)


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path, caplog):
    (tmp_path / 'file').write_text('')
    cache = TextCache(tmp_path / 'file')
    cache.write(KEY, EMBEDDINGS)
    assert 'cannot be written' in caplog.text
    assert cache.read(KEY, (3, 4)) is None


@pytest.mark.parametrize(
    ('function', 'error'),
    [
        ('os.open', PermissionError('read-only folder')),
        ('mmseg_clipsurgery.clip.text_cache.save_file', SafetensorError('no space left on device')),
        ('os.replace', OSError('no space left on device')),
    ],
    ids=['read-only', 'full while writing', 'full while renaming'],
)
def test_a_folder_that_cannot_be_written_is_a_warning(cache, caplog, monkeypatch, function, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(function, fail)
    cache.write(KEY, EMBEDDINGS)
    assert f'cannot be written ({error})' in caplog.text
    assert [*cache.folder.iterdir()] == []
    assert cache.read(KEY, (3, 4)) is None


def write_often(folder: Path, value: float) -> None:
    for _ in range(50):
        TextCache(folder).write(KEY, torch.full((64, 64), value))


@pytest.mark.slow
def test_two_processes_write_the_same_key(tmp_path):
    """A reader sees nothing or a whole file of one of them."""
    context = multiprocessing.get_context('fork')
    writers = [context.Process(target=write_often, args=(tmp_path, value)) for value in (1.0, 2.0)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        found = TextCache(tmp_path).read(KEY, (64, 64))
        if found is not None:
            assert torch.equal(found, found[0, 0].expand(64, 64))
            seen.add(found[0, 0].item())
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert TextCache(tmp_path).read(KEY, (64, 64)) is not None
    assert seen <= {1.0, 2.0}
    assert [path.name for path in tmp_path.iterdir()] == [f'{KEY}.safetensors']


def test_a_key_depends_on_everything(cache):
    def key(
        change=None,
        arch=tiny.SMALL,
        quick_gelu=False,
        ids=((5, 6, 63),),
        words=('cat', 'dog'),
        templates=('{}',),
        tokenizer='its digest',
        dtype=torch.float32,
    ):
        encoder = tiny.text_encoder(arch).to(dtype)
        if change is not None:
            change(encoder.text)
        texts = dict(words=words, templates=templates, tokenizer=tokenizer)
        return cache.key(encoder.text, arch, quick_gelu, texts, torch.tensor(ids))

    def nudge(tower):
        tower.ln_final.bias.data[3] += 1e-6

    keys = [
        key(),
        key(change=nudge),
        key(arch=tiny.changed(tiny.SMALL, text_cfg={'heads': 1})),
        key(quick_gelu=True),
        key(ids=((5, 7, 63),)),
        key(ids=((5, 6, 63, 0),)),
        key(ids=((5,), (6,), (63,))),
        key(words=('cat',)),
        key(words=('dog', 'cat')),
        key(templates=('{}', 'a {}')),
        key(words=('cat',), templates=('dog', '{}')),
        key(tokenizer='another'),
        key(dtype=torch.bfloat16),
    ]
    assert len({*keys}) == len(keys)
    assert key() == keys[0]


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_bytes_of_every_type(dtype):
    value = torch.tensor([[0, 1], [0, 1]]).to(dtype)
    assert as_bytes(value).nbytes == 4 * value.element_size()
    assert bytes(as_bytes(value.T)) != bytes(as_bytes(value))
    assert as_bytes(value[0, 0]).nbytes == value.element_size()


def test_a_file_states_its_digest(cache):
    cache.write(KEY, EMBEDDINGS)
    with safe_open(cache.folder / f'{KEY}.safetensors', 'pt') as file:
        assert len(file.metadata()['sha256']) == 64


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv('MMSEG_CLIPSURGERY_CACHE', str(tmp_path))
    assert TextCache().folder == tmp_path / 'text'
    monkeypatch.setenv('HOME', '/home/somebody')
    assert TextCache('~/kept').folder == Path('/home/somebody/kept')


def test_what_was_not_read_for_the_longest_time_goes_first(cache, monkeypatch):
    """Files of another kind stay, whatever their age and size."""
    keys = [digit * 64 for digit in 'abc']
    for age, key in enumerate(keys):
        cache.write(key, torch.rand(256, 1024))  # one MiB, and a header
        os.utime(cache.folder / f'{key}.safetensors', (age, age))
    (cache.folder / 'mine.safetensors').write_bytes(bytes(1 << 21))
    assert cache.read(keys[0], (256, 1024)) is not None
    monkeypatch.setenv(LIMIT_VARIABLE, '3')
    TextCache(cache.folder).write('d' * 64, EMBEDDINGS)
    left = sorted(path.stem for path in cache.folder.iterdir())
    assert left == sorted([keys[0], keys[2], 'd' * 64, 'mine'])


def test_a_limit_that_is_no_number_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, 'much')
    with pytest.raises(ValueError, match="MIB must be a whole number of MiB, got 'much'"):
        TextCache(tmp_path)
