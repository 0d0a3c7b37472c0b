"""The demo: two methods on two splits of the embedded scenes, a table and a picture."""

import importlib.util
import json
from pathlib import Path

from mmseg_clipsurgery.clip import sources as pretrained
from mmseg_clipsurgery.scenes import CLASSES, OBJECTS, words

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

PATH = Path(__file__).resolve().parents[2] / 'tools/demo.py'


@pytest.fixture
def demo():
    spec = importlib.util.spec_from_file_location('demo', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A small CLIP with random weights in the place of the embedded one."""
    folder = tmp_path / 'model'
    folder.mkdir()
    words.write_merges(folder / 'merges.txt.gz')
    vision = dict(image_size=96, patch_size=16, width=32, layers=6, head_width=16)
    text = dict(
        context_length=words.CONTEXT_LENGTH, vocab_size=words.vocabulary_size(), width=16, heads=2, layers=1
    )
    model = dict(embed_dim=16, vision_cfg=vision, text_cfg=text)
    torch.manual_seed(0)
    save_file(open_clip.CLIP(**model).state_dict(), folder / 'open_clip_model.safetensors')
    text['tokenizer_kwargs'] = dict(bpe_path='merges.txt.gz')
    preprocess = dict(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])
    config = dict(model_cfg=model, preprocess_cfg=preprocess)
    (folder / 'open_clip_config.json').write_text(json.dumps(config))
    monkeypatch.setattr(pretrained, 'SCENES', folder)
    return folder


def test_demo(demo, model, tmp_path, capsys):
    assert demo.main(['--work-dir', str(tmp_path / 'out'), '--scenes', '3']) == 0
    output = capsys.readouterr().out
    lines = output.splitlines()
    for title in ('raw CLIP', 'CLIP Surgery'):
        (row,) = [line for line in lines if line.startswith(f'{title}  ')]
        assert len(row.removeprefix(title).split()) == 6
    (path,) = [line.removeprefix('picture: ') for line in lines if line.startswith('picture: ')]
    assert Image.open(path).size[0] > 4 * 192
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert list(results) == ['clip, val', 'clip, heldout', 'clip_surgery, val', 'clip_surgery, heldout']
    assert all(set(metrics) == set(demo.COLUMNS) for metrics in results.values())


def test_mean_iou_is_that_of_the_results(demo):
    classes = len(CLASSES)
    generator = np.random.default_rng(0)
    labels, masks = generator.integers(0, classes - 1, (2, 3, 8, 8), np.uint8)  # the last class is nowhere
    found = demo.mean_ious([*labels], [*masks])
    ious = [
        ((labels == k) & (masks == k)).sum() / ((labels == k) | (masks == k)).sum()
        for k in range(classes - 1)
    ]
    assert found['mIoU'] == pytest.approx(100 * np.mean(ious))
    assert found['mIoU_objects'] == pytest.approx(100 * np.mean(ious[: len(OBJECTS)]))
    assert found['mIoU_grounds'] == pytest.approx(100 * np.mean(ious[len(OBJECTS) :]))


def test_table(demo):
    metrics = {
        (method, split): {column: 10 * index + place for place, column in enumerate(demo.COLUMNS)}
        for index, (method, split) in enumerate(
            (method, split) for method in demo.METHODS for split in demo.SPLITS
        )
    }
    rows = [line.split()[-6:] for line in demo.table(metrics).splitlines()[2:]]
    assert rows == [
        ['0.0', '1.0', '2.0', '10.0', '11.0', '12.0'],
        ['20.0', '21.0', '22.0', '30.0', '31.0', '32.0'],
    ]


def test_without_the_model(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, 'SCENES', tmp_path / 'nothing')
    assert demo.main(['--work-dir', str(tmp_path / 'out'), '--scenes', '1']) == 1
    assert 'error: ' in capsys.readouterr().err
