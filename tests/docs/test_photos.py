"""The page on photos and labels: every block is run."""

import os

import doc_blocks
from mmseg_clipsurgery import scenes

import pytest
from PIL import Image

PAGE = doc_blocks.ROOT / 'docs' / 'photos.md'
pytestmark = pytest.mark.slow


def test_every_block_runs_in_order(tmp_path):
    pytest.importorskip('pycocotools')
    Image.open(scenes.ensure() / 'JPEGImages' / 'val_003.png').save(tmp_path / 'photo.png')
    environment = {**os.environ, 'PYTHONPATH': str(doc_blocks.ROOT)}
    for block in doc_blocks.blocks_of(PAGE):
        doc_blocks.run_block(block, tmp_path, environment)
    made = {'labels.png', 'labelled/photo_palette.png', 'labelled/photo_labelme.json', 'labelled/coco.json'}
    assert all((tmp_path / name).is_file() for name in made)
