"""The demo: four runs on the embedded scenes, a table and a picture."""

import importlib.util
import json
from itertools import product
from pathlib import Path

from mmseg_clipsurgery.clip import model_folders
from mmseg_clipsurgery.environment.stack import mmseg_installed
from mmseg_clipsurgery.scenes import words

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

NEEDS_MMSEG = (
    pytest.mark.mmseg,
    pytest.mark.skipif(not mmseg_installed(), reason='MMSeg is not installed'),
)
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
    monkeypatch.setattr(model_folders, 'SCENES', folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('mmseg', [pytest.param(True, marks=NEEDS_MMSEG), False], ids=['in MMSeg', 'alone'])
def test_demo(demo, model, tmp_path, capsys, monkeypatch, mmseg):
    monkeypatch.setattr(demo, 'mmseg_installed', lambda: mmseg)
    assert demo.main(['--work-dir', str(tmp_path / 'out'), '--scenes', '2']) == 0
    lines = capsys.readouterr().out.splitlines()
    for title in ('raw CLIP', 'CLIP Surgery'):
        (row,) = [line for line in lines if line.startswith(f'{title}  ')]
        assert len(row.removeprefix(title).split()) == 6
    (path,) = [line.removeprefix('picture: ') for line in lines if line.startswith('picture: ')]
    assert Image.open(path).size[0] > 4 * 192
    for split, method in product(('val', 'heldout'), ('clip', 'clip_surgery')):
        folder = tmp_path / 'out' / split
        results = json.loads((folder / method / 'results.json').read_text())
        assert results['images'] == len([*(folder / 'masks' / method).iterdir()]) == 2
        assert set(results['metrics']) >= {'mIoU', 'mIoU_objects', 'mIoU_grounds'}
        if mmseg:
            assert results['protocol']['surgery']['name'] == method
            assert split in results['protocol']['split']


@pytest.mark.slow
@pytest.mark.parametrize('split', [pytest.param(name, marks=NEEDS_MMSEG) for name in ('val', 'heldout')])
def test_figures_and_masks_are_the_same_without_mmseg(demo, tmp_path, split):
    folders = tmp_path / 'in', tmp_path / 'alone'
    there = demo.evaluate_in_mmseg(split, folders[0], 5)
    alone = demo.evaluate_alone(split, folders[1], 5)
    for method in demo.METHODS:
        assert alone[method] == {name: there[method][name] for name in demo.COLUMNS}
        for path in (folders[0] / 'masks' / method).iterdir():
            assert path.read_bytes() == (folders[1] / 'masks' / method / path.name).read_bytes()


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
    monkeypatch.setattr(model_folders, 'SCENES', tmp_path / 'nothing')
    assert demo.main(['--work-dir', str(tmp_path / 'out'), '--scenes', '1']) == 1
    assert 'error: ' in capsys.readouterr().err
