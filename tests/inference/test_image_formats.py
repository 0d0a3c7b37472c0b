"""Formats for which Pillow would start a program are not read, by any way into the package."""

import io
from pathlib import Path

import mmseg_clipsurgery
import photos
from mmseg_clipsurgery.api.images import read_image
from mmseg_clipsurgery.datasets.mask_check import MaskEncoding, Pair, finding_of
from mmseg_clipsurgery.inference.image_formats import heed_limit, open_image

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, UnidentifiedImageError

PACKAGE = Path(mmseg_clipsurgery.__file__).parent


@pytest.fixture
def postscript(tmp_path, monkeypatch) -> tuple[bytes, Path]:
    """A PostScript picture, and what a Ghostscript leaves behind that is started."""
    script, mark = tmp_path / 'gs', tmp_path / 'started'
    script.write_text(f'#!/bin/sh\ntouch {mark}\n')
    script.chmod(0o755)
    monkeypatch.setattr(EpsImagePlugin, 'gs_binary', str(script))
    stream = io.BytesIO()
    Image.fromarray(photos.photo(9, 8)).save(stream, 'EPS')
    return stream.getvalue(), mark


def test_postscript_is_never_executed(postscript, tmp_path):
    data, mark = postscript
    with pytest.raises(ValueError, match='of no known format'):
        read_image(data)
    path = tmp_path / 'photo.png'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r'photo\.png is no image'):
        read_image(path)
    assert 'cannot be decoded' in (finding_of(Pair(str(path), None, 'kind', MaskEncoding(2))).problem or '')
    assert not mark.exists()


def test_other_formats_are_read_as_ever():
    stream = io.BytesIO()
    Image.fromarray(photos.photo(9, 8)).save(stream, 'TGA')
    assert np.array_equal(np.asarray(open_image(stream)), photos.photo(9, 8))
    with pytest.raises(UnidentifiedImageError):
        open_image(io.BytesIO(b'no image'))


def test_files_are_opened_here_alone():
    users = [path for path in PACKAGE.rglob('*.py') if 'Image.open(' in path.read_text(encoding='utf-8')]
    assert {path.relative_to(PACKAGE).as_posix() for path in users} == {
        'inference/image_formats.py',
        'scenes/voc.py',  # what the package has written itself
    }


def test_the_limit_of_pixels_is_only_raised(monkeypatch):
    """Pillow's is the process's, and counts for letters of a figure, too."""
    usual = Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', usual)
    for given, expected in (('', usual), ('100', usual), (str(3 * usual), -(-3 * usual // 2))):
        monkeypatch.setenv('MMSEG_CLIPSURGERY_MAX_PIXELS', given)
        heed_limit()
        assert expected == Image.MAX_IMAGE_PIXELS
    monkeypatch.setenv('MMSEG_CLIPSURGERY_MAX_PIXELS', '-1')
    with pytest.raises(ValueError, match="must be a whole number of pixels, got '-1'"):
        heed_limit()
