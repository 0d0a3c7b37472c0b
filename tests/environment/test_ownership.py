"""Files that another user may have put there, on pretended owners: nobody needs to be the superuser to test."""

import os
from pathlib import Path

from mmseg_clipsurgery.environment.ownership import is_trusted

import pytest

ME, OTHER = 1000, 1001


@pytest.fixture
def owners(monkeypatch):
    """Name of a file or folder -> its pretended owner; this user is `ME`, and everything else is this user's."""
    owners: dict[str, int] = {}
    real = os.lstat

    def lstat(self):
        found = real(self)
        fields = list(found)
        fields[4] = owners.get(self.name, ME)
        return os.stat_result(fields)

    monkeypatch.setattr(os, 'geteuid', lambda: ME)
    monkeypatch.setattr(Path, 'lstat', lstat)
    return owners


@pytest.fixture
def file(tmp_path) -> Path:
    """A file in a folder in a shared folder, none of which everyone may write."""
    path = tmp_path / 'shared' / 'text' / 'key.safetensors'
    path.parent.mkdir(parents=True)
    path.write_text('numbers')
    path.chmod(0o644), path.parent.chmod(0o755), path.parent.parent.chmod(0o755)
    return path


CASES = {
    'own': ({}, {}, True),
    'own in a folder of everyone': ({}, {'text': 0o1777}, True),
    "another's in a folder of everyone": ({'key.safetensors': OTHER}, {'text': 0o777}, False),
    'the same, sticky': ({'key.safetensors': OTHER}, {'text': 0o1777}, False),
    "another's folder in a folder of everyone": ({'text': OTHER}, {'shared': 0o1777}, False),
    "another's in a folder of a group": ({'key.safetensors': OTHER}, {'text': 0o775}, True),
    "the superuser's": ({'key.safetensors': 0, 'text': 0}, {'text': 0o777, 'shared': 0o777}, True),
    'writable by everyone': ({}, {'key.safetensors': 0o666}, False),
}


@pytest.mark.parametrize(('owned', 'modes', 'trusted'), CASES.values(), ids=CASES.keys())
def test_whose_files_are_trusted(owned, modes, trusted, owners, file):
    owners.update(owned)
    for entry in (file, file.parent, file.parent.parent):
        if entry.name in modes:
            entry.chmod(modes[entry.name])
    assert is_trusted(file) is trusted


def test_a_planted_link_is_not_trusted(owners, file, tmp_path):
    """It would lead from one file of this user's to another."""
    link = tmp_path / 'shared' / 'link'
    link.symlink_to(file)
    assert is_trusted(link)
    file.parent.parent.chmod(0o1777)
    owners['link'] = OTHER
    assert not is_trusted(link)
    assert is_trusted(file)


def test_where_the_system_knows_no_owners(file, monkeypatch):
    monkeypatch.delattr(os, 'geteuid')
    file.chmod(0o666)
    assert is_trusted(file)
