"""README: its first example saves labels as labels, and its ratios are those that were measured."""

import os
import re

import doc_blocks
from mmseg_clipsurgery import scenes

import numpy as np
import pytest
from PIL import Image

README = doc_blocks.ROOT / 'README.md'
PERFORMANCE = doc_blocks.ROOT / 'docs/performance.md'


@pytest.mark.slow
def test_first_example_saves_labels_as_labels(tmp_path):
    Image.fromarray(scenes.draw_scene('val', 29).image).save(tmp_path / 'photo.png')
    example = next(block for block in doc_blocks.blocks_of(README) if block.language == 'python')
    doc_blocks.run_block(example, tmp_path, {**os.environ, 'PYTHONPATH': str(doc_blocks.ROOT)})
    labels = np.asarray(Image.open(tmp_path / 'labels.png'))
    assert labels.shape == scenes.draw_scene('val', 29).mask.shape
    assert set(np.unique(labels)) <= set(range(4))
    assert Image.open(tmp_path / 'figure.png').size[0] > 96


@pytest.mark.parametrize(
    ('said', 'row'),
    [
        (r'photo to labels in ([\d.]+) of', 'image to labels at 512 x 512, 59 classes, to the plain forward'),
        (r'methods at once in ([\d.]+) of', 'seven surgeries at once, six windows of 224 x 224'),
    ],
    ids=['labels', 'seven methods'],
)
def test_ratios_are_the_measured_ones(said, row):
    ratio = re.search(said, ' '.join(README.read_text().split()))[1]
    (measured,) = re.findall(rf'\| {row}[^|]*\|[^|]*\| ([\d.]+) x', PERFORMANCE.read_text())
    assert float(ratio) == round(float(measured), len(ratio.partition('.')[2]))
