"""Pages for people who label photos: every block is run, in the order of its page, and leaves what the page says."""

import os

import doc_blocks
from mmseg_clipsurgery import scenes

import pytest
from PIL import Image

MADE = {  # page -> what its blocks leave behind
    'get_started': {'first/photo_segment.png', 'first/photo_labels.png'},
    'large_photos': {'windows.png', 'larger/photo_labels.png'},
    'photos': {
        'labels.png',
        'labelled/photo_palette.png',
        'labelled/photo_labelme.json',
        'labelled/coco.json',
        'labelled/label_studio.json',
    },
    'sam': {'points.json'},
}
NEEDS = {'get_started': 'mmseg', 'photos': 'pycocotools'}


@pytest.mark.slow
@pytest.mark.parametrize('page', MADE)
def test_every_block_runs_in_order(page, tmp_path):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    Image.open(scenes.ensure() / 'JPEGImages' / 'val_029.png').save(tmp_path / 'photo.png')
    environment = {**os.environ, 'PYTHONPATH': str(doc_blocks.ROOT)}
    blocks = doc_blocks.blocks_of(doc_blocks.ROOT / 'docs' / f'{page}.md')
    for block in blocks:
        if block.language in ('python', 'console'):
            doc_blocks.run_block(block, tmp_path, environment)
    assert all((tmp_path / name).is_file() for name in MADE[page])
