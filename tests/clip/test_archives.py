"""Archives of weights: what torch would take without a word, or read beyond its end, is refused."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import tiny
from archives import save_archive
from mmseg_clipsurgery.clip import archives
from mmseg_clipsurgery.clip.checkpoints import read_weights, shown_activation

import pytest
import torch

ARCH = tiny.SMALL
Members = list[tuple[str, bytes]]


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def pack(path: Path, content: Members, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, data in content:
            archive.writestr(name, data)


def storages(content: Members) -> list[int]:
    """Places of members that hold storages, the largest first."""
    places = [place for place, (name, _) in enumerate(content) if '/data/' in name]
    return sorted(places, key=lambda place: -len(content[place][1]))


def swapped(content: Members) -> Members:
    """The largest storage's bytes and the smallest's exchanged."""
    large, *_, small = storages(content)
    content[large], content[small] = (
        (content[large][0], content[small][1]),
        (content[small][0], content[large][1]),
    )
    return content


def cut(content: Members) -> Members:
    place = storages(content)[0]
    name, data = content[place]
    content[place] = name, data[: len(data) // 2]
    return content


def without(content: Members) -> Members:
    del content[storages(content)[0]]
    return content


def with_zeros(content: Members) -> Members:
    return [*content, (content[0][0].partition('/')[0] + '/code/zeros.py', bytes(4 << 20))]


BROKEN = {
    'swapped storages': (swapped, 'are stated'),
    'a shorter storage': (cut, 'are stated'),
    'a storage less': (without, 'There is no item'),
    'a bomb': (with_zeros, 'unpack to'),
}
WRITERS = {'state dict': torch.save, 'TorchScript': save_archive}


@pytest.mark.parametrize('write', WRITERS.values(), ids=WRITERS.keys())
@pytest.mark.parametrize(('change', 'message'), BROKEN.values(), ids=BROKEN.keys())
def test_archives_that_are_not_what_they_say(change, message, write: Callable, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, 'ALWAYS', 1 << 20)
    path = tmp_path / 'clip.pt'
    write({name: value for name, value in tiny.tensors(ARCH).items() if value.numel() < 900}, path)
    pack(path, change(members(path)), zipfile.ZIP_DEFLATED)
    for read in (read_weights, shown_activation):
        with pytest.raises(ValueError, match=rf'clip\.pt is not a readable archive \(.*{message}'):
            read(path)


@pytest.mark.parametrize('write', WRITERS.values(), ids=WRITERS.keys())
@pytest.mark.parametrize(
    'compression', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=['stored', 'deflated']
)
def test_an_archive_that_was_packed_anew_is_read(write, compression, tmp_path):
    path = tmp_path / 'clip.pt'
    write({'visual.a': torch.rand(50), 'b': torch.rand(3)}, path)
    wanted = read_weights(path)
    pack(path, members(path), compression)
    assert all(torch.equal(value, wanted[name]) for name, value in read_weights(path).items())


def test_one_wrong_bit_in_a_weight_is_found(tmp_path):
    """torch itself reads such a file without a word."""
    path = tmp_path / 'clip.pt'
    torch.save(tiny.tensors(ARCH), path)
    data = bytearray(path.read_bytes())
    large = members(path)[storages(members(path))[0]][1]
    data[data.index(large) + 100] ^= 1
    path.write_bytes(data)
    assert torch.load(path, weights_only=True)
    with pytest.raises(ValueError, match='the checksum of'):
        read_weights(path)


def test_a_file_is_checked_once_until_it_changes(tmp_path, monkeypatch):
    path, looked = tmp_path / 'clip.pt', []
    torch.save(tiny.tensors(ARCH), path)
    monkeypatch.setattr(archives, 'refuse_bomb', lambda archive, size: looked.append(size))
    for _ in range(2):
        archives.check_archive(path)
    torch.save({**tiny.tensors(ARCH), 'more': torch.zeros(5)}, path)
    archives.check_archive(path)
    assert len(looked) == 2


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path('executed'),))


def test_reading_storages_executes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({'a': Malicious(), 'b': torch.zeros(3)}, 'clip.pt')
    archives.check_archive(Path('clip.pt'))
    assert not Path('executed').exists()
