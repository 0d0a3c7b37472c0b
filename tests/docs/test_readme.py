"""The first example of README: labels are saved as labels, and the picture as a picture."""

import os

import doc_blocks
from mmseg_clipsurgery import scenes

import numpy as np
import pytest
from PIL import Image

README = doc_blocks.ROOT / 'README.md'
pytestmark = pytest.mark.slow


def test_first_example_saves_labels_as_labels(tmp_path):
    photo = sorted((scenes.ensure() / 'JPEGImages').glob('val_*.png'))[0]
    Image.open(photo).convert('RGB').save(tmp_path / 'photo.jpg', quality=95)
    example = next(block for block in doc_blocks.blocks_of(README) if block.language == 'python')
    doc_blocks.run_block(example, tmp_path, {**os.environ, 'PYTHONPATH': str(doc_blocks.ROOT)})
    labels = np.asarray(Image.open(tmp_path / 'labels.png'))
    assert labels.shape == (96, 96)
    assert set(np.unique(labels)) <= set(range(4))
    assert Image.open(tmp_path / 'figure.png').size[0] > 96
