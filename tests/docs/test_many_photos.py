"""The page on many photos: every block is run, and its ways give the same files."""

import os

import doc_blocks
from mmseg_clipsurgery import scenes

import pytest
from PIL import Image

PAGE = doc_blocks.ROOT / 'docs' / 'many_photos.md'
pytestmark = pytest.mark.slow


def test_every_block_runs_in_order(tmp_path):
    (tmp_path / 'photos').mkdir()
    for name in ('val_001.png', 'val_002.png', 'val_029.png'):
        Image.open(scenes.ensure() / 'JPEGImages' / name).save(tmp_path / 'photos' / name)
    for block in doc_blocks.blocks_of(PAGE):
        doc_blocks.run_block(block, tmp_path, {**os.environ, 'PYTHONPATH': str(doc_blocks.ROOT)})
    folders = [tmp_path / out for out in ('labels', 'shared')]
    one, several = ({path.name: path.read_bytes() for path in out.iterdir()} for out in folders)
    assert set(several) - set(one) == {'segment.shards.json'}
    assert one.items() <= several.items()
