"""Paths as users write them, and folders that can be written into."""

import os
from pathlib import Path

from mmseg_clipsurgery.environment.paths import folder_to_write, user_path

import pytest

NO_PATHS = {
    'a number': (5, 'got 5 where a path is expected'),
    'empty': ('', "got '' where a path is expected"),
    'null': ('a\0b', 'holds a null character'),
    'home of nobody': ('~nobody-of-that-name/x', 'names the home of a user who is not known'),
    'long': ('x' * 5000, r'^x{60}\.\.\. is a path of 5000 characters'),
}


@pytest.mark.parametrize(('given', 'message'), NO_PATHS.values(), ids=NO_PATHS.keys())
def test_what_is_no_path(given, message):
    for read in (user_path, lambda text: folder_to_write(text, '--out')):
        with pytest.raises(ValueError, match=message):
            read(given)


@pytest.mark.parametrize('given', ['new', 'new/deep', '.', 'here'])
def test_folders_there_or_not_are_not_made(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('here').mkdir()
    assert folder_to_write(given, '--out') == Path(given)
    assert os.listdir() == ['here']


@pytest.mark.parametrize('given', ['file', 'file/deep', 'file/deep/er', 'broken', 'broken/x'])
def test_a_file_in_the_path(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('file').write_text('')
    Path('broken').symlink_to('nowhere')
    with pytest.raises(
        ValueError, match=rf'^--out {given}: .*{given.split("/")[0]} is no folder; give a folder$'
    ):
        folder_to_write(given, '--out')


def test_a_folder_of_somebody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    with pytest.raises(ValueError, match='can not be written by this user'):
        folder_to_write(tmp_path / 'new', '--out')
